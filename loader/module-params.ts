/** The `__param` section of a relocated module as parameter definitions. */
import type { LoadInfo } from './load-info.ts';
import type { Module } from './module.ts';
import type { ParamDefinition } from './params.ts';

/** mod->kp; placeholder until struct kernel_param is read. */
export function readModuleParams(_m: Module, _info: LoadInfo): ParamDefinition[] {
  return [];
}
