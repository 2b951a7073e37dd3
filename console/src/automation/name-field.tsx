/** The name of a new schedule or webhook, which must not be that of another one: setting it would change that one. */
import { useEffect, useRef } from "react";

/** As the service has it. */
const NAME = "[A-Za-z0-9][A-Za-z0-9._\\-]{0,63}";

export function NameField({ name, taken, onChange }: { name: string; taken: string[]; onChange: (name: string) => void }) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    field.current?.setCustomValidity(taken.includes(name) ? "There is one with this name already." : "");
  }, [name, taken]);
  return (
    <label>
      Name
      <input ref={field} required pattern={NAME} spellCheck={false} autoComplete="off" value={name} onChange={(event) => onChange(event.target.value)} />
      <span className="hint">Letters, digits and . _ - without spaces.</span>
    </label>
  );
}
