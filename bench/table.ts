/** Tables as Markdown, padded so that they can be read as text. */

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (texts: readonly string[]): string =>
    `| ${head.map((_, i) => (texts[i] ?? '').padEnd(widths[i] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

export const ms = (time: number): string =>
  time < 10 ? `${time.toFixed(2)} ms` : time < 10_000 ? `${time.toFixed(0)} ms` : `${(time / 1000).toFixed(1)} s`;
export const mb = (megabytes: number): string => `${megabytes.toFixed(megabytes < 10 ? 2 : 0)} MB`;
export const ratio = (ours: number, theirs: number): string => `${(ours / theirs).toFixed(2)} ×`;
export const n = (count: number): string => count.toLocaleString('en-US');
/** Millions a second. */
export const rate = (count: number, time: number): string => `${(count / time / 1000).toFixed(1)} M/s`;
