/* SPDX-License-Identifier: MIT */
/* What single architectures want from their surroundings. Part of glue.c. */

#ifdef CONFIG_S390
/* Both are decided at boot: variant 1 is a machine with expolines, 0 one without. */
int nospec_disable;
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
