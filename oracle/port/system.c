// SPDX-License-Identifier: MIT
/*
 * Entry and system calls, without any C library: every architecture alike, in the kernel's ABI. Numbers and flags are
 * those of the tree's own headers.
 */
#include <linux/types.h>
#include <linux/signal.h>
#include <asm/unistd.h>
#include <uapi/asm/mman.h>
#include "port.h"

#if defined(__riscv)
static long call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long a7 asm("a7") = nr;
	register long a0 asm("a0") = a;
	register long a1 asm("a1") = b;
	register long a2 asm("a2") = c;
	register long a3 asm("a3") = d;
	register long a4 asm("a4") = e;
	register long a5 asm("a5") = f;
	asm volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5) : "memory");
	return a0;
}
#elif defined(__loongarch__)
static long call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long a7 asm("$a7") = nr;
	register long a0 asm("$a0") = a;
	register long a1 asm("$a1") = b;
	register long a2 asm("$a2") = c;
	register long a3 asm("$a3") = d;
	register long a4 asm("$a4") = e;
	register long a5 asm("$a5") = f;
	asm volatile("syscall 0"
		     : "+r"(a0)
		     : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5)
		     : "memory", "$t0", "$t1", "$t2", "$t3", "$t4", "$t5", "$t6", "$t7", "$t8");
	return a0;
}
#elif defined(__aarch64__)
static long call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 asm("x8") = nr;
	register long x0 asm("x0") = a;
	register long x1 asm("x1") = b;
	register long x2 asm("x2") = c;
	register long x3 asm("x3") = d;
	register long x4 asm("x4") = e;
	register long x5 asm("x5") = f;
	asm volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
}
#elif defined(__arm__)
static long call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r7 asm("r7") = nr;
	register long r0 asm("r0") = a;
	register long r1 asm("r1") = b;
	register long r2 asm("r2") = c;
	register long r3 asm("r3") = d;
	register long r4 asm("r4") = e;
	register long r5 asm("r5") = f;
	asm volatile("svc #0" : "+r"(r0) : "r"(r7), "r"(r1), "r"(r2), "r"(r3), "r"(r4), "r"(r5) : "memory");
	return r0;
}
#elif defined(__s390x__)
static long call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r1 asm("1") = nr;
	register long r2 asm("2") = a;
	register long r3 asm("3") = b;
	register long r4 asm("4") = c;
	register long r5 asm("5") = d;
	register long r6 asm("6") = e;
	register long r7 asm("7") = f;
	asm volatile("svc 0" : "+d"(r2) : "d"(r1), "d"(r3), "d"(r4), "d"(r5), "d"(r6), "d"(r7) : "memory");
	return r2;
}
#elif defined(__x86_64__)
static long call(long nr, long a, long b, long c, long d, long e, long f)
{
	long ret;
	register long r10 asm("r10") = d;
	register long r8 asm("r8") = e;
	register long r9 asm("r9") = f;
	asm volatile("syscall"
		     : "=a"(ret)
		     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
		     : "rcx", "r11", "memory");
	return ret;
}
#elif defined(__i386__)
/* The sixth argument is in the frame pointer: passed through memory. */
static __attribute__((__noinline__)) long call(long nr, long a, long b, long c, long d, long e, long f)
{
	long arguments[2] = {nr, f};
	long ret = (long)arguments;
	asm volatile("pushl %%ebp\n\tmovl 4(%%eax), %%ebp\n\tmovl (%%eax), %%eax\n\tint $0x80\n\tpopl %%ebp"
		     : "+a"(ret)
		     : "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
		     : "memory");
	return ret;
}
#elif defined(__powerpc__)
static long call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r0 asm("r0") = nr;
	register long r3 asm("r3") = a;
	register long r4 asm("r4") = b;
	register long r5 asm("r5") = c;
	register long r6 asm("r6") = d;
	register long r7 asm("r7") = e;
	register long r8 asm("r8") = f;
	asm volatile("sc\n\tbns+ 1f\n\tneg 3, 3\n1:"
		     : "+r"(r3), "+r"(r0), "+r"(r4), "+r"(r5), "+r"(r6), "+r"(r7), "+r"(r8)
		     :
		     : "memory", "cr0", "r9", "r10", "r11", "r12", "ctr", "xer");
	return r3;
}
#elif defined(__mips__)
static long call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long v0 asm("$2") = nr;
	register long a0 asm("$4") = a;
	register long a1 asm("$5") = b;
	register long a2 asm("$6") = c;
	register long a3 asm("$7") = d;
#if _MIPS_SIM == _MIPS_SIM_ABI64
	register long a4 asm("$8") = e;
	register long a5 asm("$9") = f;
	asm volatile("syscall"
		     : "+r"(v0), "+r"(a3), "+r"(a4), "+r"(a5)
		     : "r"(a0), "r"(a1), "r"(a2)
		     : "memory", "hi", "lo", "$1", "$3", "$10", "$11", "$12", "$13", "$14", "$15", "$24", "$25");
#else
	register long e4 asm("$8") = e;
	register long f5 asm("$9") = f;
	asm volatile(".set push\n\t.set noat\n\taddiu $29, $29, -32\n\tsw %4, 16($29)\n\tsw %5, 20($29)\n\tsyscall\n\t"
		     "addiu $29, $29, 32\n\t.set pop"
		     : "+r"(v0), "+r"(a3)
		     : "r"(a0), "r"(a1), "r"(e4), "r"(f5), "r"(a2)
		     : "memory", "hi", "lo", "$1", "$3", "$10", "$11", "$12", "$13", "$14", "$15", "$24", "$25");
#endif
	return a3 ? -v0 : v0;
}
#elif defined(__sparc__)
static long call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long g1 asm("g1") = nr;
	register long o0 asm("o0") = a;
	register long o1 asm("o1") = b;
	register long o2 asm("o2") = c;
	register long o3 asm("o3") = d;
	register long o4 asm("o4") = e;
	register long o5 asm("o5") = f;
#ifdef __arch64__
	asm volatile("ta 0x6d\n\tbcc,pt %%xcc, 1f\n\t nop\n\tneg %%o0\n1:"
#else
	asm volatile("ta 0x10\n\tbcc 1f\n\t nop\n\tneg %%o0\n1:"
#endif
		     : "+r"(o0), "+r"(o1)
		     : "r"(g1), "r"(o2), "r"(o3), "r"(o4), "r"(o5)
		     : "memory", "cc");
	return o0;
}
#elif defined(__hppa__)
static long call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r20 asm("r20") = nr;
	register long r26 asm("r26") = a;
	register long r25 asm("r25") = b;
	register long r24 asm("r24") = c;
	register long r23 asm("r23") = d;
	register long r22 asm("r22") = e;
	register long r21 asm("r21") = f;
	register long r28 asm("r28");
	asm volatile("ble 0x100(%%sr2, %%r0)\n\tcopy %1, %%r20"
		     : "=r"(r28), "+r"(r20), "+r"(r26), "+r"(r25), "+r"(r24), "+r"(r23), "+r"(r22), "+r"(r21)
		     :
		     : "memory", "r1", "r2", "r4", "r29", "r31");
	return r28;
}
#elif defined(__alpha__)
static long call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long v0 asm("$0") = nr;
	register long a0 asm("$16") = a;
	register long a1 asm("$17") = b;
	register long a2 asm("$18") = c;
	register long a3 asm("$19") = d;
	register long a4 asm("$20") = e;
	register long a5 asm("$21") = f;
	asm volatile("callsys"
		     : "+r"(v0), "+r"(a3), "+r"(a4), "+r"(a5)
		     : "r"(a0), "r"(a1), "r"(a2)
		     : "memory", "$1", "$2", "$3", "$4", "$5", "$6", "$7", "$22", "$23", "$24", "$25", "$27", "$28");
	return a3 ? -v0 : v0;
}
#elif defined(__m68k__)
static long call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long d0 asm("d0") = nr;
	register long d1 asm("d1") = a;
	register long d2 asm("d2") = b;
	register long d3 asm("d3") = c;
	register long d4 asm("d4") = d;
	register long d5 asm("d5") = e;
	register long a0 asm("a0") = f;
	asm volatile("trap #0" : "+d"(d0) : "d"(d1), "d"(d2), "d"(d3), "d"(d4), "d"(d5), "a"(a0) : "memory");
	return d0;
}
#elif defined(__sh__)
static long call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r3 asm("r3") = nr;
	register long r4 asm("r4") = a;
	register long r5 asm("r5") = b;
	register long r6 asm("r6") = c;
	register long r7 asm("r7") = d;
	register long r0 asm("r0") = e;
	register long r1 asm("r1") = f;
	asm volatile("trapa #22" : "+r"(r0) : "r"(r3), "r"(r4), "r"(r5), "r"(r6), "r"(r7), "r"(r1) : "memory", "t");
	return r0;
}
#elif defined(__or1k__)
static long call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r11 asm("r11") = nr;
	register long r3 asm("r3") = a;
	register long r4 asm("r4") = b;
	register long r5 asm("r5") = c;
	register long r6 asm("r6") = d;
	register long r7 asm("r7") = e;
	register long r8 asm("r8") = f;
	asm volatile("l.sys 1\n\tl.nop"
		     : "+r"(r11), "+r"(r3), "+r"(r4), "+r"(r5), "+r"(r6), "+r"(r7), "+r"(r8)
		     :
		     : "memory", "r12", "r13", "r15", "r17", "r19", "r21", "r23", "r25", "r27", "r29", "r31");
	return r11;
}
#elif defined(__xtensa__)
static long call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long a2 asm("a2") = nr;
	register long a6 asm("a6") = a;
	register long a3 asm("a3") = b;
	register long a4 asm("a4") = c;
	register long a5 asm("a5") = d;
	register long a8 asm("a8") = e;
	register long a9 asm("a9") = f;
	asm volatile("syscall" : "+a"(a2) : "a"(a6), "a"(a3), "a"(a4), "a"(a5), "a"(a8), "a"(a9) : "memory");
	return a2;
}
#elif defined(__hexagon__)
static long call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r6 asm("r6") = nr;
	register long r0 asm("r0") = a;
	register long r1 asm("r1") = b;
	register long r2 asm("r2") = c;
	register long r3 asm("r3") = d;
	register long r4 asm("r4") = e;
	register long r5 asm("r5") = f;
	asm volatile("trap0(#1)" : "+r"(r0) : "r"(r6), "r"(r1), "r"(r2), "r"(r3), "r"(r4), "r"(r5) : "memory");
	return r0;
}
#else
#error "system.c does not know how this architecture calls the system"
#endif

long port_read(int fd, void *to, port_addr size)
{
	return call(__NR_read, fd, (long)to, (long)size, 0, 0, 0);
}

long port_write(int fd, const void *from, port_addr size)
{
	return call(__NR_write, fd, (long)from, (long)size, 0, 0, 0);
}

#ifndef MAP_PRIVATE
#define MAP_PRIVATE 2
#endif
#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

void *port_map(port_addr at, port_addr size)
{
	const long protection = PROT_READ | PROT_WRITE | PROT_EXEC;
	const long flags = MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED : 0);
#if defined(__s390x__)
	long arguments[6] = {(long)at, (long)size, protection, flags, -1, 0};

	return (void *)call(__NR_mmap, (long)arguments, 0, 0, 0, 0, 0);
#elif defined(__NR_mmap2)
	return (void *)call(__NR_mmap2, (long)at, (long)size, protection, flags, -1, 0);
#else
	return (void *)call(__NR_mmap, (long)at, (long)size, protection, flags, -1, 0);
#endif
}

void port_unmap(port_addr at, port_addr size)
{
	call(__NR_munmap, (long)at, (long)size, 0, 0, 0, 0);
}

#ifdef SA_RESTORER
/* Nobody returns from the handler; x86 wants an address all the same. */
static void never(void)
{
	port_exit(72);
}
#endif

void port_catch(int number, void (*handler)(int))
{
#ifdef PORT_OBJECTS
	const int flags = SA_NODEFER | SA_SIGINFO;
#else
	const int flags = SA_NODEFER;
#endif
	struct sigaction action = {
		.sa_handler = handler,
#ifdef SA_RESTORER
		.sa_flags = flags | SA_RESTORER,
		.sa_restorer = never,
#else
		.sa_flags = flags,
#endif
	};

#if defined(__alpha__)
	call(__NR_rt_sigaction, number, (long)&action, 0, sizeof(action.sa_mask), 0, 0);
#elif defined(__sparc__)
	call(__NR_rt_sigaction, number, (long)&action, 0, 0, sizeof(action.sa_mask), 0);
#else
	call(__NR_rt_sigaction, number, (long)&action, 0, sizeof(action.sa_mask), 0, 0);
#endif
}

void port_exit(int code)
{
	for (;;)
		call(__NR_exit_group, code, 0, 0, 0, 0, 0);
}

#if defined(__alpha__)
/* Every function counts its global pointer from the address it was called at. */
asm(".text\n\t.globl _start\n\t.ent _start\n_start:\n\tbr $27, 1f\n1:\tldgp $29, 0($27)\n\tlda $8, port_task\n\t"
    "lda $27, port_main\n\tjsr $26, ($27), port_main\n\t.end _start");
/* What the kernel keeps in $8: its thread_info. */
char port_task[16384] __attribute__((aligned(64)));
#elif defined(__hppa__)
asm(".text\n\t.globl _start\n_start:\n\tldil L%$global$, %r27\n\tldo R%$global$(%r27), %r27\n\t"
    "ldo 128(%r30), %r30\n\tb port_main\n\tnop");
#elif defined(__xtensa__) && defined(__XTENSA_WINDOWED_ABI__)
asm(".text\n\t.globl _start\n\t.align 4\n_start:\n\tmovi a0, 0\n\tmovi a4, port_main\n\tcallx4 a4");
#elif defined(__sparc__) && !defined(__arch64__)
asm(".text\n\t.globl _start\n_start:\n\tand %sp, -8, %sp\n\tsub %sp, 96, %sp\n\tcall port_main\n\t nop");
#else
/* Everything else enters a C function as it enters a program: the stack is aligned and nobody returns. */
__attribute__((__noreturn__)) void port_start(void) asm("_start");
void port_start(void)
{
	port_main();
}
#endif
