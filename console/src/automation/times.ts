/** The times of a schedule as people say them, and as cron says them. Whatever people have no simple words for stays cron. Pure. */

export type Rhythm = "hourly" | "daily" | "weekdays" | "weekly" | "monthly" | "cron";
/** All that a form holds at once; which of it counts, `rhythm` says. */
export type Times = { rhythm: Rhythm; /** `HH:MM`; of an hourly schedule, its minutes. */ time: string; /** 0 is Sunday. */ weekday: number; day: number; cron: string };

export const RHYTHMS: Record<Rhythm, string> = {
  hourly: "Every hour",
  daily: "Every day",
  weekdays: "From Monday to Friday",
  weekly: "Every week",
  monthly: "Every month",
  cron: "By a line of cron",
};
export const WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
/** Every month has it. */
export const MAX_DAY = 28;

export function cronOf({ rhythm, time, weekday, day, cron }: Times): string {
  const [hour = 0, minute = 0] = time.split(":").map(Number);
  const at = `${minute} ${hour}`;
  switch (rhythm) {
    case "hourly":
      return `${minute} * * * *`;
    case "daily":
      return `${at} * * *`;
    case "weekdays":
      return `${at} * * mon-fri`;
    case "weekly":
      return `${at} * * ${weekday}`;
    case "monthly":
      return `${at} ${day} * *`;
    case "cron":
      return cron.trim();
  }
}

export function timesOf(cron: string): Times {
  const times: Times = { rhythm: "cron", time: "09:00", weekday: 1, day: 1, cron };
  const [minute = "", hour = "", day = "", month, weekday = "", ...more] = cron.trim().toLowerCase().split(/\s+/);
  if (more.length > 0 || month !== "*" || !isNumber(minute, 0, 59)) return times;
  if (hour === "*") return day === "*" && weekday === "*" ? { ...times, rhythm: "hourly", time: `00:${padded(minute)}` } : times;
  if (!isNumber(hour, 0, 23)) return times;
  const at = { ...times, time: `${padded(hour)}:${padded(minute)}` };
  if (isNumber(day, 1, MAX_DAY) && weekday === "*") return { ...at, rhythm: "monthly", day: Number(day) };
  if (day !== "*") return times;
  if (weekday === "*") return { ...at, rhythm: "daily" };
  if (weekday === "mon-fri" || weekday === "1-5") return { ...at, rhythm: "weekdays" };
  const named = WEEKDAYS.findIndex((name) => name.slice(0, 3).toLowerCase() === weekday);
  if (named >= 0 || isNumber(weekday, 0, 7)) return { ...at, rhythm: "weekly", weekday: named >= 0 ? named : Number(weekday) % 7 };
  return times;
}

export function wordsOf(cron: string): string {
  const { rhythm, time, weekday, day } = timesOf(cron);
  switch (rhythm) {
    case "hourly":
      return `Every hour at ${time.slice(2)}`;
    case "daily":
      return `Every day at ${time}`;
    case "weekdays":
      return `From Monday to Friday at ${time}`;
    case "weekly":
      return `Every ${WEEKDAYS[weekday]} at ${time}`;
    case "monthly":
      return `Every month on day ${day} at ${time}`;
    case "cron":
      return cron;
  }
}

function isNumber(text: string, least: number, most: number): boolean {
  return /^\d{1,2}$/.test(text) && Number(text) >= least && Number(text) <= most;
}

const padded = (number: string): string => number.padStart(2, "0");
