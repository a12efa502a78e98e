/* SPDX-License-Identifier: MIT */
/*
 * Given to the compiler with -include before each of the kernel's own files, which stay as they are: BUG and WARN are
 * trap instructions or entries of tables in a kernel; here they are outcomes. Memory comes from the harness.
 */
#ifndef KOMULATOR_REDEFINE_H
#define KOMULATOR_REDEFINE_H
#ifndef __ASSEMBLY__

#include <linux/bug.h>
#include <linux/printk.h>

extern void __attribute__((__noreturn__)) port_bug(void);
extern void port_warn(void);
extern unsigned int port_variant;

#undef BUG
#undef BUG_ON
#undef WARN
#undef WARN_ON
#undef WARN_ONCE
#undef WARN_ON_ONCE
#undef WARN_TAINT
#undef WARN_TAINT_ONCE
#define BUG() port_bug()
#define BUG_ON(condition) \
	do { \
		if (condition) \
			port_bug(); \
	} while (0)
#define WARN_ON(condition) \
	({ \
		int port_warned = !!(condition); \
		if (port_warned) \
			port_warn(); \
		port_warned; \
	})
#define WARN(condition, ...) \
	({ \
		int port_told = WARN_ON(condition); \
		if (port_told) \
			_printk(__VA_ARGS__); \
		port_told; \
	})
#define WARN_ON_ONCE(condition) WARN_ON(condition)
#define WARN_ONCE(condition, ...) WARN(condition, __VA_ARGS__)
#define WARN_TAINT(condition, taint, ...) WARN(condition, __VA_ARGS__)
#define WARN_TAINT_ONCE(condition, taint, ...) WARN(condition, __VA_ARGS__)

#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/mm.h>

extern void *port_alloc(unsigned long size);
extern void *port_realloc(void *old, unsigned long size);

#undef kmalloc
#undef kzalloc
#undef kcalloc
#undef kmalloc_array
#undef kvmalloc
#undef kvzalloc
#undef kvmalloc_array
#undef kvcalloc
#undef krealloc
#undef kvrealloc
#undef kfree
#undef kvfree
#undef vmalloc
#undef vzalloc
#undef vfree
#define kmalloc(size, flags) port_alloc(size)
#define kzalloc(size, flags) port_alloc(size)
#define kcalloc(count, size, flags) port_alloc((unsigned long)(count) * (size))
#define kmalloc_array(count, size, flags) port_alloc((unsigned long)(count) * (size))
#define kvmalloc(size, flags) port_alloc(size)
#define kvzalloc(size, flags) port_alloc(size)
#define kvmalloc_array(count, size, flags) port_alloc((unsigned long)(count) * (size))
#define kvcalloc(count, size, flags) port_alloc((unsigned long)(count) * (size))
#define krealloc(old, size, flags) port_realloc((void *)(old), size)
#define kvrealloc(old, size, flags) port_realloc((void *)(old), size)
#define kfree(block) ((void)(block))
#define kvfree(block) ((void)(block))
#define vmalloc(size) port_alloc(size)
#define vzalloc(size) port_alloc(size)
#define vfree(block) ((void)(block))

#ifdef CONFIG_ARM64
/* Capabilities are alternatives that the boot patches: unpatched, all would be off. The variant tells. */
#include <asm/cpufeature.h>
#define cpus_have_final_cap(capability) (port_variant != 0)
#define cpus_have_cap(capability) (port_variant != 0)
#define cpus_have_const_cap(capability) (port_variant != 0)
#endif

#if defined(CONFIG_RISCV) && defined(CONFIG_32BIT)
/*
 * Hashed to 0 bits, a lone relocation's bucket is anywhere in 4 GiB, and a part of that is mapped, by chance another in
 * every program. Here it never is, so that the case has one outcome. In 64 bits chance is small enough.
 */
#include <linux/hashtable.h>
extern void __attribute__((noreturn)) port_wild(void);
#undef hash_min
#define hash_min(value, bits) \
	({ \
		if (!(bits)) \
			port_wild(); \
		sizeof(value) <= 4 ? hash_32(value, bits) : hash_long(value, bits); \
	})
#endif

#endif
#endif
