import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { applyTheme, storedTheme } from "./session/theme.ts";
import "./style/base.css";
import "./style/parts.css";
import "./style/layout.css";
import "./style/answer.css";
import "./style/action.css";
import "./style/composer.css";
import "./style/chat.css";
import "./style/pages.css";

applyTheme(storedTheme());
const root = document.getElementById("root");
if (root === null) throw new Error("the page has no #root");
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
