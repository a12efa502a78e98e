/** Where a command writes: lines for people or one JSON document on stdout, complaints and progress on stderr. */
import { styleText } from 'node:util';

export type Style = Parameters<typeof styleText>[0];

export interface Io {
  /** A line on stdout. */
  print(line: string): void;
  /** A line on stderr. */
  complain(line: string): void;
  /** What is going on, on one line of stderr that is overwritten; without words it is wiped. Only on a terminal. */
  progress(words?: string): void;
  /** Text for stdout in a style, where stdout shows colours. */
  paint(style: Style, text: string): string;
  /** The same for stderr. */
  paintError(style: Style, text: string): string;
}

/** Exit codes of the command. */
export const exit = { well: 0, findings: 1, wrongUse: 2, unavailable: 3, bug: 70, interrupted: 130 } as const;
export type Exit = (typeof exit)[keyof typeof exit];

const colours = (stream: NodeJS.WriteStream): boolean =>
  stream.isTTY && (process.env['NO_COLOR'] ?? '') === '' && stream.hasColors();

const painter =
  (on: boolean): Io['paint'] =>
  (style, text) =>
    on ? styleText(style, text, { validateStream: false }) : text;

/** The process' own streams. */
export function processIo(): Io {
  const { stdout, stderr } = process;
  let shown = false;
  const wipe = (): void => {
    if (shown) stderr.write('\r\x1b[K');
    shown = false;
  };
  return {
    print: (line) => {
      wipe();
      stdout.write(`${line}\n`);
    },
    complain: (line) => {
      wipe();
      stderr.write(`${line}\n`);
    },
    progress: (words) => {
      if (!stderr.isTTY) return;
      wipe();
      if (words === undefined) return;
      stderr.write(words.slice(0, Math.max(stderr.columns - 1, 20)));
      shown = true;
    },
    paint: painter(colours(stdout)),
    paintError: painter(colours(stderr)),
  };
}

/** Any value as JSON: bigint as "0x…", Map as an object, Set as an array. */
export function toJson(value: unknown): string {
  return JSON.stringify(
    value,
    (_, v: unknown) => {
      if (typeof v === 'bigint') return hex(v);
      if (v instanceof Map) return Object.fromEntries(v);
      if (v instanceof Set) return [...v];
      return v;
    },
    2,
  );
}

/** "0x…", with a minus sign in front where it is negative. */
export const hex = (v: bigint | number): string => (v < 0 ? `-0x${(-v).toString(16)}` : `0x${v.toString(16)}`);

/** "1 symbol", "3 symbols"; numbers with thin groups of thousands are hard to paste, so none. */
export const count = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`;
