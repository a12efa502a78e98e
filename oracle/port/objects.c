// SPDX-License-Identifier: MIT
/*
 * What objects of somebody's own build call besides: handlers that are linked as they are have not seen redefine.h, so
 * kmalloc has the kernel's names. Of all versions; arguments that are not looked at are not named.
 */
#include "port.h"

#define stub __attribute__((weak))

stub void *__kmalloc(port_addr size, ...)
{
	return port_alloc(size);
}

stub void *__kmalloc_noprof(port_addr size, unsigned int flags)
{
	return port_alloc(size);
}

stub void *__kmalloc_large_noprof(port_addr size, unsigned int flags)
{
	return port_alloc(size);
}

stub void *__kmalloc_cache_noprof(void *cache, unsigned int flags, port_addr size)
{
	return port_alloc(size);
}

stub void *kmalloc_trace(void *cache, unsigned int flags, port_addr size)
{
	return port_alloc(size);
}

stub void *kmalloc_large(port_addr size, unsigned int flags)
{
	return port_alloc(size);
}

stub void *__kvmalloc_node_noprof(port_addr size, port_addr b, port_addr c, port_addr d)
{
	return port_alloc(size);
}

stub void *kvmalloc_node(port_addr size, unsigned int flags, int node)
{
	return port_alloc(size);
}

stub void *vmalloc(port_addr size)
{
	return port_alloc(size);
}

stub void *vmalloc_noprof(port_addr size)
{
	return port_alloc(size);
}

stub void *vzalloc(port_addr size)
{
	return port_alloc(size);
}

stub void *vzalloc_noprof(port_addr size)
{
	return port_alloc(size);
}

stub void *krealloc(void *old, port_addr size, unsigned int flags)
{
	return port_realloc(old, size);
}

stub void *krealloc_noprof(void *old, port_addr size, unsigned int flags)
{
	return port_realloc(old, size);
}

stub void *kvrealloc_noprof(void *old, port_addr size, unsigned int flags)
{
	return port_realloc(old, size);
}

stub void *kvrealloc_node_align_noprof(void *old, port_addr size, port_addr c, port_addr d, port_addr e)
{
	return port_realloc(old, size);
}

stub void kfree(const void *block)
{
}

stub void kvfree(const void *block)
{
}

stub void vfree(const void *block)
{
}

/* Addresses that are passed to the functions above. */
stub char kmalloc_caches[1 << 14];
stub char random_kmalloc_seed[8];

/* x86 patches for the CPU it runs on; module_finalize() begins and ends that. */
stub void its_init_mod(void *mod)
{
}

stub void its_fini_mod(void *mod)
{
}

/* Canaries: one for all, where the compiler takes it from a symbol. */
stub unsigned long __stack_chk_guard = 0x5aul << 8;
stub unsigned long __ref_stack_chk_guard = 0x5aul << 8;

stub void __stack_chk_fail(void)
{
	port_bug();
}

/* The words of a WARN; the trap that counts it follows. */
stub void __warn_printk(const char *format, ...)
{
}

#if defined(__x86_64__)
/* Calls and returns by thunks, and a call at the head of each function. */
asm(".text\n\t.weak __x86_return_thunk\n__x86_return_thunk:\n\tret\n\t"
    ".weak __fentry__\n__fentry__:\n\tret");
#define thunk(reg) \
	asm(".text\n\t.weak __x86_indirect_thunk_" #reg "\n__x86_indirect_thunk_" #reg ":\n\tjmp *%" #reg)
thunk(rax);
thunk(rbx);
thunk(rcx);
thunk(rdx);
thunk(rsi);
thunk(rdi);
thunk(rbp);
thunk(r8);
thunk(r9);
thunk(r10);
thunk(r11);
thunk(r12);
thunk(r13);
thunk(r14);
thunk(r15);
#elif defined(__i386__)
asm(".text\n\t.weak __x86_return_thunk\n__x86_return_thunk:\n\tret\n\t"
    ".weak __fentry__\n__fentry__:\n\tret");
#define thunk(reg) \
	asm(".text\n\t.weak __x86_indirect_thunk_" #reg "\n__x86_indirect_thunk_" #reg ":\n\tjmp *%" #reg)
thunk(eax);
thunk(ebx);
thunk(ecx);
thunk(edx);
thunk(esi);
thunk(edi);
thunk(ebp);
#endif
