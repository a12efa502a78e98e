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

#if defined(CONFIG_ARM64) && defined(PORT_OBJECTS)
#include <asm/alternative.h>
#include <asm/cpufeature.h>
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
#error "the objects of this kernel ask static keys of the boot for capabilities: have the handlers compiled, without --objects"
#else
extern struct alt_instr __start_port_alternatives[] __weak, __stop_port_alternatives[] __weak;

/*
 * As apply_alternatives() does with what asks for a capability: a branch that is there unless it is had (its alternative
 * is a callback that makes nops), or a nop that becomes a branch.
 */
static void port_capabilities(void)
{
	static u32 before[64];
	unsigned int i, n = __stop_port_alternatives - __start_port_alternatives;

	for (i = 0; i < n && i < ARRAY_SIZE(before); i++) {
		struct alt_instr *alt = &__start_port_alternatives[i];
		u32 *at = (void *)&alt->orig_offset + alt->orig_offset;
		u32 *instead = (void *)&alt->alt_offset + alt->alt_offset;
		unsigned int capability = alt->cpucap & ~ARM64_CB_BIT;
		long words;

		if (!before[i])
			before[i] = *at;
		*at = before[i];
		if (capability != ARM64_ALWAYS_SYSTEM && capability != ARM64_ALWAYS_BOOT &&
		    !(port_variant && capability == ARM64_WORKAROUND_843419))
			continue;
		if (alt->cpucap & ARM64_CB_BIT) {
			*at = 0xd503201f;
		} else {
			words = ((int)(*instead << 6) >> 6) + (instead - at);
			*at = (*instead & 0xfc000000) | (words & 0x03ffffff);
		}
	}
}
#endif
#endif

const char *port_prepare(unsigned long long dp)
{
#if defined(CONFIG_ARM64) && defined(PORT_OBJECTS)
	port_capabilities();
#endif
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
