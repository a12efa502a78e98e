/** The `.ko` of a module in a scenario: as small as it can be, with code that stays and code that goes after init. */
import { ko, minimalModule, MODULE_LAYOUT_CRC } from '../fixtures/build.ts';
import { vermagicOf } from '../fixtures/machines.ts';
import type { Version } from '../relocs/module-view.ts';
import type { ScenarioModule } from './scenario-language.ts';

const CRC = 0x1234;

export function fileOf(name: string, m: ScenarioModule, version: Version): Uint8Array {
  const { exports = [], uses = [], functions = {}, file } = m;
  if (file === 'empty') return new Uint8Array(0);
  const hasInit = Object.keys(functions).some((one) => one.startsWith('__init '));
  const text = { name: '.text', flags: 6, align: 16, size: 16 };
  const init = { name: '.init.text', flags: 6, align: 16, size: 16 };
  const data = { name: '.data', flags: 3, align: 8, size: 8 * Math.max(uses.length, 1) };
  return ko(
    minimalModule({
      thisModule: { name },
      modinfo: { vermagic: vermagicOf('', version) },
      versions: [['module_layout', MODULE_LAYOUT_CRC], ...uses.map((symbol): [string, number] => [symbol, CRC])],
      sections: [text, ...(hasInit ? [init] : []), data],
      relocs: { '.data': uses.map((symbol, i) => ({ offset: 8 * i, type: 1, symbol })) },
      symbols: exports.map((symbol) => ({ name: symbol, section: '.text' })),
      exports: exports.map((symbol) => ({ name: symbol, crc: CRC, gpl: true })),
      ...(version === '7.2' ? {} : { exportStyle: '6.x' as const }),
    }),
  );
}
