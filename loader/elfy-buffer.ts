/** What elfy asks of its input, over any Uint8Array: a Buffer without Node. */

class ElfyBytes extends Uint8Array<ArrayBuffer> {
  /** A view, as Buffer.slice is. */
  override slice(start = 0, end: number = this.length): this {
    const to = Math.min(Math.max(end, start), this.length);
    const from = Math.min(start, this.length);
    return new ElfyBytes(this.buffer, this.byteOffset + from, Math.max(to - from, 0)) as this;
  }

  override toString(): string {
    let s = '';
    for (const byte of this) s += String.fromCharCode(byte);
    return s;
  }

  readUInt8(at: number): number {
    return this.byte(at);
  }
  readInt8(at: number): number {
    return (this.byte(at) << 24) >> 24;
  }
  readUInt16LE(at: number): number {
    return this.byte(at) | (this.byte(at + 1) << 8);
  }
  readUInt16BE(at: number): number {
    return (this.byte(at) << 8) | this.byte(at + 1);
  }
  readInt16LE(at: number): number {
    return (this.readUInt16LE(at) << 16) >> 16;
  }
  readInt16BE(at: number): number {
    return (this.readUInt16BE(at) << 16) >> 16;
  }
  readUInt32LE(at: number): number {
    return this.readInt32LE(at) >>> 0;
  }
  readUInt32BE(at: number): number {
    return this.readInt32BE(at) >>> 0;
  }
  readInt32LE(at: number): number {
    return this.readUInt16LE(at) | (this.readUInt16LE(at + 2) << 16);
  }
  readInt32BE(at: number): number {
    return (this.readUInt16BE(at) << 16) | this.readUInt16BE(at + 2);
  }

  /** Without a DataView: elfy reads a few numbers from each of very many slices. */
  private byte(at: number): number {
    const byte = this[at];
    if (byte === undefined) throw new RangeError(`offset ${at} lies outside of ${this.length} bytes`);
    return byte;
  }
}

/** The same bytes, in elfy's clothes. */
export const asElfyBuffer = (bytes: Uint8Array<ArrayBuffer>): ElfyBytes =>
  new ElfyBytes(bytes.buffer, bytes.byteOffset, bytes.byteLength);
