// SPDX-License-Identifier: MIT
/*
 * Between the kernel's types and the harness. Compiled with the compile line of the kernel's own module.o, so that
 * struct module is the true one, of this tree and this configuration.
 */
#include <linux/version.h>
#include <linux/module.h>
#include <linux/moduleloader.h>
#include <linux/string.h>
#include "port.h"

static struct module port_module;

/* Defaults of kernel/module/main.c, for architectures without a hook of their own. */

int __weak module_frob_arch_sections(Elf_Ehdr *hdr, Elf_Shdr *sechdrs, char *secstrings, struct module *mod)
{
	return 0;
}

unsigned int __weak arch_mod_section_prepend(struct module *mod, unsigned int section)
{
	return 0;
}

static bool starts_with(const char *name, const char *prefix)
{
	while (*prefix)
		if (*name++ != *prefix++)
			return false;
	return true;
}

int __weak module_finalize(const Elf_Ehdr *hdr, const Elf_Shdr *sechdrs, struct module *mod)
{
	return 0;
}

bool __weak module_init_section(const char *name)
{
	return starts_with(name, ".init");
}

bool __weak module_exit_section(const char *name)
{
	return starts_with(name, ".exit");
}

bool module_init_layout_section(const char *name);
bool module_init_layout_section(const char *name)
{
#ifndef CONFIG_MODULE_UNLOAD
	if (module_exit_section(name))
		return true;
#endif
	return module_init_section(name);
}

void port_module_fresh(void)
{
	char *bytes = (char *)&port_module;
	unsigned long i;

	for (i = 0; i < sizeof(port_module); i++)
		bytes[i] = 0;
	port_module.name[0] = 'f';
	port_module.name[1] = 'i';
	port_module.name[2] = 'x';
	/* As apply_relocations() finds it. */
	port_module.state = MODULE_STATE_UNFORMED;
#ifdef CONFIG_MODULE_UNLOAD
	INIT_LIST_HEAD(&port_module.source_list);
	INIT_LIST_HEAD(&port_module.target_list);
#endif
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
void port_module_region(unsigned int region, port_addr base, port_addr size)
{
	static const enum mod_mem_type types[] = {
		MOD_TEXT, MOD_DATA, MOD_RODATA, MOD_RO_AFTER_INIT, MOD_INIT_TEXT, MOD_INIT_DATA, MOD_INIT_RODATA,
	};

	port_module.mem[types[region]].base = (void *)base;
	port_module.mem[types[region]].size = size;
}

port_addr port_module_text_size(void)
{
	return port_module.mem[MOD_TEXT].size;
}
#else
void port_module_region(unsigned int region, port_addr base, port_addr size)
{
	if (region == 0) {
		port_module.core_layout.base = (void *)base;
		port_module.core_layout.size = size;
	} else if (region == 4) {
		port_module.init_layout.base = (void *)base;
		port_module.init_layout.size = size;
	}
}

port_addr port_module_text_size(void)
{
	return port_module.core_layout.size;
}
#endif

void port_module_percpu(port_addr address)
{
#ifdef CONFIG_SMP
	port_module.percpu = (void __percpu *)address;
#endif
}

int port_frob(void *hdr, void *sechdrs, char *secstrings)
{
	return module_frob_arch_sections(hdr, sechdrs, secstrings, &port_module);
}

int port_apply_relocate(void *sechdrs, const char *strtab, unsigned int symindex, unsigned int relsec)
{
	return apply_relocate(sechdrs, strtab, symindex, relsec, &port_module);
}

int port_apply_relocate_add(void *sechdrs, const char *strtab, unsigned int symindex, unsigned int relsec)
{
	return apply_relocate_add(sechdrs, strtab, symindex, relsec, &port_module);
}

unsigned int port_prepend(unsigned int section)
{
	return arch_mod_section_prepend(&port_module, section);
}

#include "arch-glue.h"

int port_finalize(void *hdr, void *sechdrs, char *secstrings)
{
	port_before_finalize(hdr, sechdrs, secstrings);
	return module_finalize(hdr, sechdrs, &port_module);
}

#ifdef PORT_OBJECTS
#ifdef CONFIG_GENERIC_BUG
#include <linux/bug.h>
extern struct bug_entry __start___bug_table[] __weak, __stop___bug_table[] __weak;

int port_trap_at(port_addr at)
{
	struct bug_entry *b;

	for (b = __start___bug_table; b < __stop___bug_table; b++) {
#ifdef CONFIG_GENERIC_BUG_RELATIVE_POINTERS
		port_addr address = (port_addr)&b->bug_addr_disp + (long)b->bug_addr_disp;
#else
		port_addr address = b->bug_addr;
#endif
		if (address == at)
			return b->flags & BUGFLAG_WARNING ? 2 : 1;
	}
	return 0;
}
#else
int port_trap_at(port_addr at)
{
	return 1;
}
#endif
#endif
