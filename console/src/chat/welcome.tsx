/** What a conversation shows before its first question. */
import { Icon } from "../ui/icons.tsx";
import type { IconName } from "../ui/icons.tsx";

const IDEAS: [icon: IconName, title: string, question: string][] = [
  ["spark", "A quick sum", "What is 12 * 12?"],
  ["file", "A small web page", "Write a small web page about tea to tea.html, with a table of three kinds and how long each steeps."],
  ["folder", "Look through my files", "Look at the files that I uploaded, and tell me in five lines what they are about."],
  ["terminal", "Know the machine", "Which programming languages are installed on your machine, and in which versions?"],
];

export function Welcome({ onPick }: { onPick: (question: string) => void }) {
  return (
    <div className="welcome">
      <div>
        <h2>What should the agent do?</h2>
        <p>It has a machine of its own: it runs commands, writes files and keeps them with this conversation. Drop files anywhere to give them to it.</p>
        <ul>
          {IDEAS.map(([icon, title, question]) => (
            <li key={title}>
              <button type="button" onClick={() => onPick(question)}>
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
