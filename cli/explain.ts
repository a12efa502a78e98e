import { type Exit, exit, type Io } from './io.ts';
import type { KernelOptions } from './open-kernel.ts';
export interface ExplainOptions extends KernelOptions { readonly params?: string; readonly step?: string; readonly reloc?: string; readonly json?: boolean }
export function explain(_file: string, _options: ExplainOptions, _io: Io): Promise<Exit> { return Promise.resolve(exit.well); }
