/**
 * Preloaded (`node --import`) by scripts/test-mutants.ts into the test runner and its workers: of the one file that
 * KOMULATOR_MUTANT names, the source is changed as it is loaded. Nothing is written.
 */
import { registerHooks } from 'node:module';

const wanted = process.env['KOMULATOR_MUTANT'];
if (wanted !== undefined) {
  const { file, find, replace } = JSON.parse(wanted) as { file: string; find: string; replace: string };
  const target = new URL(`../../${file}`, import.meta.url).href;
  registerHooks({
    load(url, context, next) {
      const loaded = next(url, context);
      if (url !== target) return loaded;
      const source = Buffer.from((loaded.source ?? '') as string | Uint8Array).toString();
      if (source.split(find).length !== 2) throw new Error(`${file}: what the mutant replaces is not there once`);
      return { ...loaded, source: source.replace(find, () => replace) };
    },
  });
}
