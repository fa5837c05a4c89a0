// Figures and times as people read them: short, aligned, never more precise than they are.

/** `1.2 s`, `3 min 05 s`, `2 h 10 min`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "-";
  if (seconds === 0) return "0 s";
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  if (hours >= 48) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  if (hours > 0) return `${hours} h ${two(minutes)} min`;
  return `${minutes} min ${two(whole % 60)} s`;
}

/** `2 min`, `now`: how long ago, without false precision. */
export function ago(seconds: number): string {
  if (seconds < 1) return "now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

/** Dollars: cents for what is large, four places for what is small. */
export function usd(amount: number): string {
  if (amount === 0) return "$0.00";
  if (Math.abs(amount) < 0.0001) return "< $0.0001";
  // Four places at most, and no zeros that say nothing behind the cents.
  return `$${amount.toFixed(Math.abs(amount) < 1 ? 4 : 2).replace(/(\.\d\d\d*?)0+$/, "$1")}`;
}

/** `950`, `12.3 k`, `4.56 M`. */
export function count(value: number): string {
  if (Math.abs(value) < 10_000) return value.toLocaleString("en-US", { maximumFractionDigits: 1 });
  if (Math.abs(value) < 1e6) return `${(value / 1e3).toFixed(1)} k`;
  return `${(value / 1e6).toFixed(2)} M`;
}

/** Bytes in binary units. */
export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let [rest, unit] = [value, 0];
  while (rest >= 1024 && unit < units.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? rest : rest.toFixed(rest < 10 ? 1 : 0)} ${units[unit]}`;
}

/** How far something is, or that nobody knows. */
export function portion(fraction: number, known: boolean): string {
  return known ? percent(fraction) : "? %";
}

export function percent(fraction: number): string {
  return `${Math.round(fraction * 100)} %`;
}

/** `1 job`, `3 jobs`. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** A moment in the zone that the settings name (`local` or an IANA name); with its date, that zone too. */
export function clock(at: string | number | Date, zone: string, withDate = false): string {
  const date = at instanceof Date ? at : new Date(at);
  if (Number.isNaN(date.getTime())) return "-";
  const key = `${zone} ${withDate}`;
  let format = formats.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat("en-GB", {
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      ...(withDate ? { day: "2-digit", month: "short", timeZoneName: "short" } : {}),
      ...(zone === "local" ? {} : { timeZone: zone }),
    });
    formats.set(key, format);
  }
  return format.format(date);
}

/** A moment (unix seconds) on an axis whose lines are `step` seconds apart: no finer than they are. */
export function axisTime(at: number, step: number, zone: string): string {
  const whole = clock(at * 1000, zone, step >= 86_400);
  if (step >= 86_400) return whole.split(",")[0] ?? whole;
  return step >= 60 ? whole.slice(0, 5) : whole;
}

/** Words of the daemon without the marks of code in them. */
export function plain(text: string): string {
  return text.replaceAll("`", "");
}

/** A resource as people call it, and an amount of it. */
export function resource(name: string): string {
  return (
    { cpu: "CPU", mem_mb: "Memory", gpu: "GPU", gpu_mem_mb: "GPU memory" }[name] ?? name.replaceAll("_", " ")
  );
}
export function amountOf(name: string, amount: number): string {
  return name.endsWith("_mb") ? bytes(amount * 1024 * 1024) : count(amount);
}

/** The last part of a dotted job id: what it is within its run. */
export function stepOf(jobId: string): string {
  return jobId.slice(jobId.lastIndexOf(".") + 1);
}

/** A value of the wire as text; what is no text is none. */
export function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
