/** The other side of qemu's gdb stub: gdb's remote protocol, as much as it takes to stop a kernel and read its memory. */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** qemu's packets hold 4096 characters. */
const CHUNK = 0x7c0;

export class GdbStub {
  readonly #socket: Socket;
  #text = '';
  #moving = false;
  #waiting: { resolve(packet: string): void; reject(error: Error): void } | undefined;
  readonly #packets: string[] = [];
  #closed: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.#take(text));
    socket.on('error', (error) => this.#close(error));
    socket.on('close', () => this.#close(new Error('qemu closed the connection of its gdb stub')));
  }

  /** Connecting stops the machine. */
  static async connect(path: string): Promise<GdbStub> {
    const socket = connect(path);
    await once(socket, 'connect');
    const stub = new GdbStub(socket);
    // Only who has asked for the description of the registers may read them one by one.
    await stub.#ask('qXfer:features:read:target.xml:0,ff');
    return stub;
  }

  /** One register, by gdb's number, in the byte order of the target. */
  async register(index: number): Promise<Buffer> {
    return Buffer.from(await this.#ask(`p${index.toString(16)}`), 'hex');
  }

  async read(address: bigint, length: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let at = 0; at < length; at += CHUNK) {
      const size = Math.min(CHUNK, length - at);
      const reply = await this.#ask(`m${(address + BigInt(at)).toString(16)},${size.toString(16)}`);
      const part = Buffer.from(reply, 'hex');
      if (part.length !== size) throw new Error(`memory at 0x${address.toString(16)}+0x${at.toString(16)}: ${reply}`);
      parts.push(part);
    }
    return Buffer.concat(parts);
  }

  async setBreakpoint(address: bigint): Promise<void> {
    await this.#ok(`Z1,${address.toString(16)},4`);
  }

  /** Goes on from a breakpoint: without this the machine would stop at it again. */
  async stepOver(address: bigint): Promise<void> {
    await this.#ok(`z1,${address.toString(16)},4`);
    await this.#ask('s');
    await this.setBreakpoint(address);
  }

  /** Lets the machine run; fulfilled when it stops again. */
  resume(): Promise<string> {
    return this.#ask('c');
  }

  close(): void {
    this.#socket.destroy();
  }

  async #ok(packet: string): Promise<void> {
    const reply = await this.#ask(packet);
    if (reply !== 'OK') throw new Error(`the gdb stub answered ${packet} with '${reply}'`);
  }

  async #ask(packet: string): Promise<string> {
    this.#moving = packet === 'c' || packet === 's';
    let sum = 0;
    for (const byte of Buffer.from(packet)) sum = (sum + byte) & 0xff;
    this.#socket.write(`$${packet}#${sum.toString(16).padStart(2, '0')}`);
    const ready = this.#packets.shift();
    if (ready !== undefined) return ready;
    if (this.#closed !== undefined) throw this.#closed;
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  #take(text: string): void {
    this.#text += text;
    for (;;) {
      const packet = /\$([^#]*)#../.exec(this.#text);
      if (packet === null) return;
      this.#text = this.#text.slice(packet.index + packet[0].length);
      this.#socket.write('+');
      // Connecting stops the machine, which the stub reports unasked.
      if (!this.#moving && /^[ST][0-9a-f]{2}/.test(packet[1]!)) continue;
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (waiting === undefined) this.#packets.push(packet[1]!);
      else waiting.resolve(packet[1]!);
    }
  }

  #close(error: Error): void {
    this.#closed ??= error;
    this.#waiting?.reject(this.#closed);
    this.#waiting = undefined;
  }
}
