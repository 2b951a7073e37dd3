/** What a conversation shows before its first question. */
import { Icon } from "../ui/icons.tsx";
import type { IconName } from "../ui/icons.tsx";
import type { Way } from "./way.ts";

const IDEAS: [icon: IconName, title: string, question: string, way?: Way][] = [
  ["spark", "A quick sum", "What is 12 * 12?"],
  ["file", "A small web page", "Write a small web page about tea to tea.html, with a table of three kinds and how long each steeps."],
  ["folder", "Look through my files", "Look at the files that I uploaded, and tell me in five lines what they are about."],
  ["shield", "Allow each step", "Run `uname -a; ls -la`, and tell me what machine this is.", "asks"],
];

/** `isMissing`: the address is that of a conversation that is not there. */
export function Welcome({ isMissing, onPick }: { isMissing: boolean; onPick: (question: string, way: Way | undefined) => void }) {
  return (
    <div className="welcome">
      <div>
        {isMissing && (
          <p className="notice">
            <Icon name="warning" size={16} />
            There is no conversation at this address; it may have been deleted. What you ask begins a new one here.
          </p>
        )}
        <h2>What should the agent do?</h2>
        <p>It has a machine of its own: it runs commands, writes files and keeps them with this conversation. Drop files anywhere to give them to it.</p>
        <ul>
          {IDEAS.map(([icon, title, question, way]) => (
            <li key={title}>
              <button type="button" onClick={() => onPick(question, way)}>
                <Icon name={icon} size={20} />
                <b>{title}</b>
                <span>{question}</span>
              </button>
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}
