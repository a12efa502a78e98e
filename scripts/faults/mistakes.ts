/** What goes wrong when C is written by hand, as changes to one line of it, for any architecture. */

export interface Mistake {
  readonly name: string;
  /** The part of a line that it goes wrong in. */
  readonly at: RegExp;
  /** What stands there then. */
  readonly wrong: (found: string, ...groups: string[]) => string;
  /** Only lines that are followed within three by one like this. */
  readonly before?: RegExp;
  /** Only functions with such a name. */
  readonly inside?: RegExp;
  /** Lines that begin preprocessor directives and loops are asked, too. */
  readonly anywhere?: true;
}

const next = (digits: string, by: number): string =>
  digits.startsWith('0x') ? `0x${(BigInt(digits) + BigInt(by)).toString(16)}` : String(BigInt(digits) + BigInt(by));

const others: Readonly<Record<string, string>> = {
  ENOEXEC: 'EINVAL',
  EINVAL: 'ENOEXEC',
  ERANGE: 'EINVAL',
  ENOENT: 'ENOEXEC',
  hi: 'lo',
  lo: 'hi',
  hi20: 'lo12',
  lo12: 'hi20',
  upper: 'lower',
  lower: 'upper',
  '[0]': '[1]',
  '[1]': '[0]',
  '==': '!=',
  '!=': '==',
  '&&': '||',
  '||': '&&',
  '-=': '+=',
  '+=': '-=',
  '-': '+',
  _HA: '_LO',
  _LO: '_HA',
  lrsel: 'rrsel',
  rrsel: 'lrsel',
  u64: 'u32',
  uint64_t: 'uint32_t',
  u32: 'u16',
  uint32_t: 'uint16_t',
  u16: 'u8',
  uint16_t: 'uint8_t',
  int: 'short',
  short: 'char',
  'unsigned long': 'unsigned short',
};
const other = (_: string, found: string): string => others[found] ?? found;

const counting = /count|frob|stub|plt|got|fdesc|check_rela|process_reloc/;

export const mistakes: readonly Mistake[] = [
  { name: 'range off by one', at: /(?<=(?<![-<>])[<>]=? *-?)(0x[0-9a-f]+|\d+)\b/, wrong: (_, n) => next(n, 1) },
  { name: 'range off by one', at: /(?<= )([<>])(?= )/, wrong: (_, c) => `${c}=` },
  { name: 'range off by one', at: /(?<= )([<>])=(?= )/, wrong: (_, c) => c },
  { name: 'range too wide', at: /(?<=\b(?:1|1L|1UL) << *)(\d+)\b/, wrong: (_, n) => next(n, 1) },
  { name: 'range too narrow', at: /(?<=\b(?:1|1L|1UL) << *)(\d+)\b/, wrong: (_, n) => next(n, -1) },
  {
    name: 'check dropped',
    at: /\bif \((?!0 &&)/,
    wrong: () => 'if (0 && ',
    before: /return -E(?!NOMEM|FAULT)|goto (?!found)|ovf = /,
  },
  { name: 'error swallowed', at: /\breturn -E(?!NOMEM|FAULT)\w+;/, wrong: () => 'return 0;' },
  { name: 'wrong errno', at: /(?<=-)(ENOEXEC|EINVAL|ERANGE|ENOENT)\b/, wrong: other },
  { name: 'wrong mask', at: /(?<=& *~?)(0x[0-9a-f]+|[1-9]\d*)\b(?! *\?)/, wrong: (_, n) => next(n, -1) },
  { name: 'wrong mask', at: /(?<=& *~?)(0x[0-9a-f]+)/, wrong: (_, n) => `0x${(BigInt(n) >> 1n).toString(16)}` },
  { name: 'wrong shift', at: /(?<=(?:>>|<<)=? *)(\d+)\b/, wrong: (_, n) => next(n, 1) },
  { name: 'halves swapped', at: /(?<!->|\.)\b(hi20|lo12|hi|lo|upper|lower)\b(?=[^;]*[-+=&|)\]])/, wrong: other },
  { name: 'halves swapped', at: /(?<=\w)(\[[01]\])(?= *[=|&])/, wrong: other },
  { name: 'halves swapped', at: /(?<=PPC)(_HA|_LO)(?=\()/, wrong: other },
  { name: 'halves swapped', at: /\b([lr]rsel)(?=\()/, wrong: other },
  { name: 'halves swapped', at: /(?<=16(?:_t)? \*\) ?location) \+ 1(?=\))/, wrong: () => ' + 0' },
  { name: 'halves swapped', at: />> ?(?:16|32)\b/, wrong: () => '>> 0' },
  { name: 'no sign extension', at: /\(s(8|16|32|64)\)/, wrong: (_, n) => `(u${n})` },
  {
    name: 'no sign extension',
    at: /\((?:signed )?(int|short|long|long long)\) ?(?=\w)/,
    wrong: (_, t) => `(unsigned ${t}) `,
  },
  { name: 'no sign extension', at: /\bsign_extend(?:32|64)\(([^,]*), *\d+\)/, wrong: (_, x) => `(${x})` },
  { name: 'no sign extension', at: / \^ (0x[0-9a-f]+)\) - \1/, wrong: () => ')' },
  { name: 'carry forgotten', at: / \+ 0x8000?(?:8000)*(?:LL)?\b/, wrong: () => '' },
  {
    name: 'PC forgotten',
    at: / - \(?(?:\(?(?:Elf\w*_Addr|unsigned long|u\w*32\w*|u64|uintptr_t|long)\) ?)?(?:location|loc|place|dot)\b\)?/,
    wrong: () => '',
  },
  { name: 'PC forgotten', at: /(?<=-= *)(?=[^;]*\b(?:location|loc)\b)/, wrong: () => '0 & ' },
  {
    name: 'addend forgotten',
    at: /(?:\+|(?<=[a-z]) \+=) rela?(?:\[i\]\.|->)r_addend/,
    wrong: (x) => (x.includes('=') ? ' += 0' : ''),
  },
  { name: 'addend forgotten', at: /(?<=\*\w+) \+= /, wrong: () => ' = ' },
  {
    name: 'addend for symbol',
    at: /\b\w+(?:\[\w+\])?(?:->|\.)st_value\b(?! *=[^=])/,
    wrong: (x) => x.replace('st_value', 'st_size'),
  },
  { name: 'wrong place', at: /\br_offset\b/, wrong: () => 'r_offset + 2' },
  {
    name: 'wrong width',
    at: /(?<=\()(u64|u32|u16|uint64_t|uint32_t|uint16_t|short|int|unsigned long)(?= \*\))/,
    wrong: other,
  },
  { name: 'wrong width', at: /(?<=\b(?:size = |&tmp, ))([248])\b/, wrong: (_, n) => String(Number(n) >> 1) },
  { name: 'sign turned', at: /(?<=[\w)] )(-)(?= [\w(])/, wrong: other },
  { name: 'sign turned', at: /(?<=[\w)] )(-=|\+=)(?= )/, wrong: other },
  { name: 'old bits lost', at: / \|= /, wrong: () => ' = ' },
  { name: 'case dropped', at: /^\s*case R_\w+:(?=\s*(?:\/\*|$))/, wrong: () => '' },
  { name: 'case dropped', at: /^\s*\[R_\w+\].*\},$/, wrong: () => '' },
  { name: 'break dropped', at: /^\s*break;/, wrong: () => ';' },
  { name: 'condition turned', at: /(?<= )(==|!=|&&|\|\|)(?= |$)/, wrong: other },
  {
    name: 'first left out',
    at: /(?<=\bfor \(\w+ = )0(?=;(?!.*(?:e_shnum|sechdrs\[symidx|sizeof\(func_desc)))/,
    wrong: () => '1',
    anywhere: true,
  },
  {
    name: 'line left out',
    at: /^\s*(?!return|break|goto|continue|.*(?:sh_type|sh_flags|sh_addralign|\blocks?\b)|int |unsigned |u\d\d |s\d\d |void |struct |const |Elf|long )[\w>*().[\] -]+ [-+|&]?= [^;]*;$/,
    wrong: () => ';',
  },
  { name: 'line left out', at: /^\s*(?!return\b|k?v?free|for\b|while\b)\w+\([^;]*\);$/, wrong: () => ';' },
  { name: 'weak as global', at: /\bSTB_WEAK\b/, wrong: () => 'STB_GLOBAL' },
  {
    name: 'no byte swap',
    at: /\b(?:cpu_to_[bl]e(?:16|32)|[bl]e(?:16|32)_to_cpu|__(?:opcode_to_mem|mem_to_opcode)_\w+)(?=\()/,
    wrong: () => '',
  },
  {
    name: 'PLT counted wrong',
    at: /^(\s*\*?(?![\w>.-]*got)[\w>.-]*(?:plt|stub|num|count|relocs|ret|size|fdesc)[\w>.-]*)\+\+(?=;)/,
    wrong: (_, n) => `${n} += 0`,
    inside: counting,
  },
  {
    name: 'PLT counted wrong',
    at: /(?<=^\s*\*?(?![\w>.-]*got)[\w>.-]*(?:plt|stub|num|count|relocs|ret|size|fdesc)[\w>.-]* \+= )/,
    wrong: () => '1 + ',
    inside: counting,
  },
  { name: 'PLT counted wrong', at: /(?<=plt\w* *\+ )1(?=\) \*)/, wrong: () => '2', inside: counting },
  {
    name: 'GOT counted wrong',
    at: /^(\s*\*?[\w>.-]*got[\w>.-]*)\+\+(?=;)/,
    wrong: (_, n) => `${n} += 0`,
    inside: counting,
  },
  {
    name: 'GOT counted wrong',
    at: /(?<=^\s*\*?[\w>.-]*(?:got|poffset)[\w>.-]* \+= )/,
    wrong: () => '1 + ',
    inside: counting,
  },
  { name: 'GOT counted wrong', at: /(?<=got\w* *\+ )1(?=\) \*)/, wrong: () => '2', inside: counting },
  {
    name: 'wrong opcode in PLT',
    at: /(?<=(?:[=,({|] *|^\s*|#define\s+\w+\s+))(0x[0-9a-f]{5,8})\b/,
    wrong: (_, n) => `0x${(BigInt(n) ^ 0x1_0000n).toString(16)}`,
    inside: /get_stub|create_stub|get_plt|module_plt|apply_rela$|^$/,
    anywhere: true,
  },
  {
    name: 'wrong opcode in PLT',
    at: /(?<=PPC_(?:RAW|INST)\w+\(_R1)([12])\b/,
    wrong: (_, n) => (n === '1' ? '2' : '1'),
    inside: /^$|stub/,
  },
  { name: 'wrong opcode in PLT', at: /AARCH64_INSN_REG_16/, wrong: () => 'AARCH64_INSN_REG_17' },
];
