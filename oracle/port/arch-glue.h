/* SPDX-License-Identifier: MIT */
/* What single architectures want from their surroundings. Part of glue.c. */

#ifdef CONFIG_S390
/* Both are decided at boot: variant 1 is a machine with expolines, 0 one without. */
int nospec_disable;
#endif

#ifdef CONFIG_SPARC64
#include <asm/spitfire.h>
/* A machine whose instruction cache needs no help, and no hypervisor: nothing is patched for it. */
__typeof__(tlb_type) tlb_type = cheetah;
#endif

#ifdef CONFIG_M68K
/* What the boot finds out about memory. Numbers that nobody takes for something else. */
unsigned long m68k_memoffset = 0x01234567;
int m68k_virt_to_node_shift = 0x1b;
#endif

#ifdef CONFIG_MIPS
/* A module without a __jump_table. */
void jump_label_apply_nops(struct module *mod);
void jump_label_apply_nops(struct module *mod)
{
}
#endif

const char *port_prepare(unsigned long long dp)
{
#ifdef CONFIG_S390
	nospec_disable = port_variant == 0;
#endif
#ifdef CONFIG_PARISC
	register unsigned long r27 asm("r27");
	unsigned long real;

	asm("copy %%r27,%0" : "=r"(real));
	if (dp != 0 && dp != real)
		return "the case wants another data pointer (r27) than this port was linked with";
#endif
	return 0;
}

/* What the module's own struct module would have told: it is made by the linker script. */
static void port_before_finalize(Elf_Ehdr *hdr, Elf_Shdr *sechdrs, char *secstrings)
{
#ifdef CONFIG_M68K
	unsigned int i;

	for (i = 1; i < hdr->e_shnum; i++) {
		if (strcmp(secstrings + sechdrs[i].sh_name, ".m68k_fixup"))
			continue;
		port_module.arch.fixup_start = (void *)sechdrs[i].sh_addr;
		port_module.arch.fixup_end = (void *)(sechdrs[i].sh_addr + sechdrs[i].sh_size);
	}
#endif
}
