/** Names of compiler and binutils: a prefix of GCC's programs, or a suffix of LLVM's. */
export class Toolchain {
  /** 'riscv64-linux-gnu-', or '-19'. */
  readonly cross: string;
  /** cross is a suffix of LLVM's programs. */
  readonly llvm: boolean;

  constructor(cross: string) {
    this.cross = cross;
    this.llvm = cross.startsWith('-');
  }

  get cc(): string {
    return this.llvm ? `clang${this.cross}` : `${this.cross}gcc`;
  }

  /** 'nm', 'objdump', 'addr2line'. */
  tool(name: string): string {
    return this.llvm ? `llvm-${name}${this.cross}` : `${this.cross}${name}`;
  }

  /** What the kernel's make wants to hear. */
  get makeVariable(): string {
    return this.llvm ? `LLVM=${this.cross}` : `CROSS_COMPILE=${this.cross}`;
  }
}
