/** What elfy asks of its input, over any Uint8Array: a Buffer without Node. */

class ElfyBytes extends Uint8Array<ArrayBuffer> {
  private get view(): DataView {
    return new DataView(this.buffer, this.byteOffset, this.byteLength);
  }

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
    return this.view.getUint8(at);
  }
  readInt8(at: number): number {
    return this.view.getInt8(at);
  }
  readUInt16LE(at: number): number {
    return this.view.getUint16(at, true);
  }
  readUInt16BE(at: number): number {
    return this.view.getUint16(at);
  }
  readInt16LE(at: number): number {
    return this.view.getInt16(at, true);
  }
  readInt16BE(at: number): number {
    return this.view.getInt16(at);
  }
  readUInt32LE(at: number): number {
    return this.view.getUint32(at, true);
  }
  readUInt32BE(at: number): number {
    return this.view.getUint32(at);
  }
  readInt32LE(at: number): number {
    return this.view.getInt32(at, true);
  }
  readInt32BE(at: number): number {
    return this.view.getInt32(at);
  }
}

/** The same bytes, in elfy's clothes. */
export const asElfyBuffer = (bytes: Uint8Array<ArrayBuffer>): ElfyBytes =>
  new ElfyBytes(bytes.buffer, bytes.byteOffset, bytes.byteLength);
