/** Signs in, and shows the page that the address names in the frame that all pages share. */
import { lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { AgentError } from "claude-agent-service-client";
import type { Schemas } from "claude-agent-service-client";
import { ChatPage } from "./chat/chat-page.tsx";
import { Library } from "./chat/library.ts";
import { Sidebar } from "./chat/sidebar.tsx";
import { newId } from "./ids.ts";
import { href, useRoute } from "./route.ts";
import { clientFor, forget, open, storedCredential } from "./session/session.ts";
import type { Session } from "./session/session.ts";
import { SignIn } from "./session/sign-in.tsx";
import { useStore } from "./store.ts";
import { Boundary } from "./ui/boundary.tsx";
import { Button, Failure, IconButton, Spinner } from "./ui/controls.tsx";
import { Icon } from "./ui/icons.tsx";

const AutomationPage = lazy(() => import("./automation/automation-page.tsx"));
const OperatorPage = lazy(() => import("./operator/operator-page.tsx"));
const ReferencePage = lazy(() => import("./reference/reference-page.tsx"));

type Boot = { phase: "asking" } | { phase: "failed"; error: unknown } | { phase: "known"; health: Schemas["Health"] };

export function App() {
  const [boot, setBoot] = useState<Boot>({ phase: "asking" });
  const [session, setSession] = useState<Session | undefined>();
  const [notice, setNotice] = useState<unknown>();

  const ask = useCallback(async () => {
    setBoot({ phase: "asking" });
    try {
      const health = await clientFor(undefined).health();
      const credential = storedCredential();
      if (!health.hasAuth || credential !== undefined) setSession(open(credential));
      setBoot({ phase: "known", health });
    } catch (error) {
      setBoot({ phase: "failed", error });
    }
  }, []);
  useEffect(() => void ask(), [ask]);

  const signOut = useCallback((why?: unknown) => {
    forget();
    setNotice(why);
    setSession(undefined);
  }, []);

  if (boot.phase === "asking") return <main className="centre"><Spinner label="Loading" /></main>;
  if (boot.phase === "failed") return <main className="centre"><Failure error={boot.error} onRetry={() => void ask()} /></main>;
  if (session === undefined) {
    const signIn = (opened: Session): void => {
      setNotice(undefined);
      setSession(opened);
    };
    return <SignIn notice={notice} onOpen={signIn} />;
  }
  return <Shell key={`${session.credential ?? ""}\n${session.accountId}`} session={session} hasAuth={boot.health.hasAuth} onSession={setSession} onSignOut={signOut} />;
}

type ShellProps = { session: Session; hasAuth: boolean; onSession: (session: Session) => void; onSignOut: (why?: unknown) => void };

function Shell({ session, hasAuth, onSession, onSignOut }: ShellProps) {
  const route = useRoute();
  const library = useMemo(() => new Library(session.client, session.feed), [session]);
  const [isDrawerOpen, setDrawerOpen] = useState(false);
  const [isOperator, setOperator] = useState(!hasAuth);
  const [refusal, setRefusal] = useState<unknown>();
  // Each visit to the page of new conversations is one of its own.
  const draft = useMemo(() => (route.page === "new" ? newId("chat") : ""), [route]);

  useEffect(() => {
    void library.load();
    void library.follow();
    return () => library.close();
  }, [library]);

  useEffect(() => {
    setDrawerOpen(false);
  }, [route]);

  // The keyboard goes where the drawer is, and back.
  const wasDrawerOpen = useRef(false);
  useEffect(() => {
    if (isDrawerOpen) document.querySelector<HTMLElement>(".drawer-close")?.focus();
    else if (wasDrawerOpen.current && document.activeElement?.closest(".sidebar") !== null) document.querySelector<HTMLElement>(".drawer-button")?.focus();
    wasDrawerOpen.current = isDrawerOpen;
  }, [isDrawerOpen]);

  useEffect(() => {
    if (hasAuth) void session.client.listPurgeRuns().then(() => setOperator(true), () => setOperator(false));
  }, [hasAuth, session.client]);

  useEffect(
    () =>
      library.subscribe(() => {
        const { error } = library.state;
        if (!(error instanceof AgentError)) return;
        if (error.code === "unauthorized" || error.code === "wrong_account") onSignOut(error);
        else if (error.code === "auth_not_configured") setRefusal(error);
      }),
    [library, onSignOut],
  );

  if (refusal !== undefined) return <main className="centre"><Failure error={refusal} /></main>;
  const sessionId = route.page === "conversation" ? route.sessionId : undefined;
  return (
    <div className={`shell ${isDrawerOpen ? "drawer-open" : ""}`} onKeyDown={(event) => event.key === "Escape" && setDrawerOpen(false)}>
      <a className="skip" href="#main" onClick={focusMain}>
        Skip to the page
      </a>
      <Sidebar library={library} session={session} current={sessionId} page={route.page} isOperator={isOperator} hasAuth={hasAuth} onClose={() => setDrawerOpen(false)} onSession={onSession} onSignOut={onSignOut} />
      <div className="scrim" onClick={() => setDrawerOpen(false)} />
      <main id="main" tabIndex={-1} onFocus={() => setDrawerOpen(false)}>
        <IconButton className="drawer-button" icon="menu" label="Conversations" aria-expanded={isDrawerOpen} onClick={() => setDrawerOpen(true)} />
        <Boundary key={route.page}>
          <Suspense fallback={<div className="centre"><Spinner label="Loading" /></div>}>
            {route.page === "automation" && <AutomationPage session={session} library={library} shown={route.shown} />}
            {route.page === "operator" && (isOperator ? <OperatorPage session={session} shown={route.shown} onSession={onSession} /> : <NotForYou />)}
            {route.page === "reference" && <ReferencePage session={session} operation={route.operation} />}
          </Suspense>
        </Boundary>
        {(route.page === "new" || route.page === "conversation") && (
          <Boundary key={sessionId ?? draft}>
            <ChatPage library={library} sessionId={sessionId ?? draft} isNew={sessionId === undefined} />
          </Boundary>
        )}
        <Connection library={library} />
      </main>
    </div>
  );
}

/** Says that what is shown may be old. */
function Connection({ library }: { library: Library }) {
  const { isCut } = useStore(library);
  return (
    <div role="status">
      {isCut && (
        <p className="cut">
          <Icon name="warning" size={16} />
          <span>No connection to the service. The console goes on trying.</span>
          <Button onClick={() => library.reconnect()}>Try now</Button>
        </p>
      )}
    </div>
  );
}

/** The address's hash is the route, so the link may not change it. */
function focusMain(event: React.MouseEvent): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function NotForYou() {
  return (
    <div className="centre">
      <div className="empty">
        <h1>For operators</h1>
        <p>This page needs one of the service's API keys. Your token speaks for one account.</p>
        <a className="button plain" href={href.new}>
          Back to the conversations
        </a>
      </div>
    </div>
  );
}
