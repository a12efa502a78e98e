// SPDX-License-Identifier: MIT
/*
 * What the kernel's files expect of the rest of the kernel: strings, printk, memory. Memory is never given back within
 * a case and always zero, so that a case has one outcome. The stubs at the end are weak: an architecture's own win.
 */
#include "port.h"

typedef __builtin_va_list va_list;
typedef unsigned long long u64;

#define WORD sizeof(unsigned long)
#define aligned_with(a, b) ((((port_addr)(a)) | ((port_addr)(b))) % WORD == 0)
#define stub __attribute__((weak))

/* Strings. */

stub void *memcpy(void *to, const void *from, port_addr size)
{
	unsigned char *t = to;
	const unsigned char *f = from;

	if (aligned_with(to, from))
		for (; size >= WORD; size -= WORD, t += WORD, f += WORD)
			*(unsigned long *)t = *(const unsigned long *)f;
	while (size--)
		*t++ = *f++;
	return to;
}

stub void *memmove(void *to, const void *from, port_addr size)
{
	unsigned char *t = to;
	const unsigned char *f = from;

	if ((port_addr)t - (port_addr)f >= size)
		return memcpy(to, from, size);
	while (size--)
		t[size] = f[size];
	return to;
}

stub void *memset(void *to, int byte, port_addr size)
{
	unsigned char *t = to;
	unsigned long word = (unsigned char)byte;

	word |= word << 8;
	word |= word << 16;
	if (WORD == 8)
		word |= word << 16 << 16;
	if (aligned_with(to, 0))
		for (; size >= WORD; size -= WORD, t += WORD)
			*(unsigned long *)t = word;
	while (size--)
		*t++ = (unsigned char)byte;
	return to;
}

stub int memcmp(const void *a, const void *b, port_addr size)
{
	const unsigned char *x = a, *y = b;

	for (; size--; x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

stub port_addr strlen(const char *s)
{
	port_addr n = 0;

	while (s[n])
		n++;
	return n;
}

stub port_addr strnlen(const char *s, port_addr size)
{
	port_addr n = 0;

	while (n < size && s[n])
		n++;
	return n;
}

stub int strncmp(const char *a, const char *b, port_addr size)
{
	for (; size--; a++, b++) {
		if (*a != *b)
			return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
		if (!*a)
			break;
	}
	return 0;
}

stub int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, ~(port_addr)0);
}

stub char *strchr(const char *s, int c)
{
	for (; *s != (char)c; s++)
		if (!*s)
			return 0;
	return (char *)s;
}

stub char *strrchr(const char *s, int c)
{
	const char *last = 0;

	do
		if (*s == (char)c)
			last = s;
	while (*s++);
	return (char *)last;
}

stub char *strstr(const char *s, const char *what)
{
	port_addr size = strlen(what);

	for (; *s || !size; s++)
		if (!strncmp(s, what, size))
			return (char *)s;
	return 0;
}

stub char *strcpy(char *to, const char *from)
{
	return memcpy(to, from, strlen(from) + 1);
}

/* Memory: one arena, from its front to its end, emptied after each case. Each block has its size in front. */

#define ARENA (64ul << 20)
#define FRONT 16ul

static unsigned char *arena;
static port_addr used;

void *port_alloc(port_addr size)
{
	unsigned char *block;

	if (!arena)
		arena = port_map(0, ARENA);
	if (size > ARENA / 2 || used + size + 2 * FRONT > ARENA)
		return 0;
	block = arena + used + FRONT;
	*(port_addr *)(block - FRONT) = size;
	used += FRONT + ((size + FRONT - 1) & ~(FRONT - 1));
	return block;
}

void *port_realloc(void *old, port_addr size)
{
	void *block = port_alloc(size);
	port_addr had = old ? *(port_addr *)((unsigned char *)old - FRONT) : 0;

	if (block && had)
		memcpy(block, old, had < size ? had : size);
	return block;
}

void port_free_all(void)
{
	if (used)
		memset(arena, 0, used);
	used = 0;
}

/* printk. */

#define LOG (1ul << 20)

static char log_text[LOG];
static port_addr log_size;

const char *port_log(port_addr *size)
{
	*size = log_size;
	log_size = 0;
	return log_text;
}

struct sink {
	char *text;
	port_addr size;
	port_addr length;
};

static void put(struct sink *to, char c)
{
	if (to->length < to->size)
		to->text[to->length] = c;
	to->length++;
}

/* Quotient by ten without a division of 64 bits, which some architectures have no instruction for. */
static u64 divide_by_ten(u64 value, unsigned int *rest)
{
	u64 quotient = 0;
	unsigned int remainder = 0;
	int bit;

	for (bit = 63; bit >= 0; bit--) {
		remainder = remainder << 1 | (unsigned int)(value >> bit & 1);
		if (remainder >= 10) {
			remainder -= 10;
			quotient |= 1ull << bit;
		}
	}
	*rest = remainder;
	return quotient;
}

struct directive {
	int left, zero, plus, space, alternative, upper;
	int width, precision;
	int base;
};

static void put_number(struct sink *to, u64 value, int negative, const struct directive *d)
{
	char digits[72];
	const char *set = d->upper ? "0123456789ABCDEF" : "0123456789abcdef";
	int n = 0, length, zeros, pad;
	char sign = negative ? '-' : d->plus ? '+' : d->space ? ' ' : 0;
	int prefix = d->alternative && d->base == 16 ? 2 : d->alternative && d->base == 8 ? 1 : 0;

	while (value) {
		unsigned int digit;

		if (d->base == 10) {
			value = divide_by_ten(value, &digit);
		} else {
			digit = (unsigned int)value & (d->base - 1);
			value >>= d->base == 16 ? 4 : 3;
		}
		digits[n++] = set[digit];
	}
	if (!n)
		digits[n++] = '0';
	length = n + (sign != 0) + prefix;
	zeros = d->precision > n ? d->precision - n : 0;
	pad = d->width > length + zeros ? d->width - length - zeros : 0;
	if (d->zero && !d->left && d->precision < 0) {
		zeros = pad;
		pad = 0;
	}
	for (; !d->left && pad; pad--)
		put(to, ' ');
	if (sign)
		put(to, sign);
	if (prefix)
		put(to, '0');
	if (prefix == 2)
		put(to, d->upper ? 'X' : 'x');
	while (zeros--)
		put(to, '0');
	while (n--)
		put(to, digits[n]);
	for (; pad; pad--)
		put(to, ' ');
}

static void put_string(struct sink *to, const char *s, const struct directive *d)
{
	port_addr length, i;

	if ((port_addr)s < 4096)
		s = "(null)";
	length = d->precision >= 0 ? strnlen(s, d->precision) : strlen(s);
	if (!d->left)
		for (i = length; (int)i < d->width; i++)
			put(to, ' ');
	for (i = 0; i < length; i++)
		put(to, s[i]);
	if (d->left)
		for (i = length; (int)i < d->width; i++)
			put(to, ' ');
}

static int is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The kernel's formats, as far as handlers use them. %p prints the plain value: hashed ones are not comparable. */
static void format_to(struct sink *to, const char *format, va_list args)
{
	for (; *format; format++) {
		struct directive d = {.precision = -1, .base = 10};
		int longs = 0, shorts = 0;
		u64 value;

		if (*format != '%') {
			put(to, *format);
			continue;
		}
		for (format++;; format++) {
			if (*format == '-')
				d.left = 1;
			else if (*format == '0')
				d.zero = 1;
			else if (*format == '+')
				d.plus = 1;
			else if (*format == ' ')
				d.space = 1;
			else if (*format == '#')
				d.alternative = 1;
			else
				break;
		}
		if (*format == '*') {
			d.width = __builtin_va_arg(args, int);
			format++;
		}
		for (; *format >= '0' && *format <= '9'; format++)
			d.width = d.width * 10 + *format - '0';
		if (*format == '.') {
			d.precision = 0;
			format++;
			if (*format == '*') {
				d.precision = __builtin_va_arg(args, int);
				format++;
			}
			for (; *format >= '0' && *format <= '9'; format++)
				d.precision = d.precision * 10 + *format - '0';
		}
		for (;; format++) {
			if (*format == 'l')
				longs++;
			else if (*format == 'L' || *format == 'q')
				longs = 2;
			else if (*format == 'z' || *format == 't')
				longs = 1;
			else if (*format == 'h')
				shorts++;
			else
				break;
		}
		switch (*format) {
		case '%':
			put(to, '%');
			break;
		case 'c':
			put(to, (char)__builtin_va_arg(args, int));
			break;
		case 's':
			put_string(to, __builtin_va_arg(args, const char *), &d);
			break;
		case 'p':
			value = (port_addr)__builtin_va_arg(args, void *);
			d.base = 16;
			d.zero = 1;
			if (format[1] == 'S' || format[1] == 's' || format[1] == 'B') {
				d.alternative = 1;
				d.width = 0;
			} else {
				d.width = 2 * sizeof(void *);
			}
			while (is_letter(format[1]))
				format++;
			put_number(to, value, 0, &d);
			break;
		case 'd':
		case 'i': {
			long long number = longs >= 2   ? __builtin_va_arg(args, long long)
					   : longs == 1 ? __builtin_va_arg(args, long)
							: __builtin_va_arg(args, int);

			if (shorts)
				number = shorts > 1 ? (signed char)number : (short)number;
			put_number(to, number < 0 ? -(u64)number : (u64)number, number < 0, &d);
			break;
		}
		case 'X':
			d.upper = 1;
			/* fall through */
		case 'x':
		case 'o':
		case 'u':
			d.base = *format == 'u' ? 10 : *format == 'o' ? 8 : 16;
			d.plus = d.space = 0;
			value = longs >= 2   ? __builtin_va_arg(args, unsigned long long)
				: longs == 1 ? __builtin_va_arg(args, unsigned long)
					     : __builtin_va_arg(args, unsigned int);
			if (shorts)
				value = shorts > 1 ? (unsigned char)value : (unsigned short)value;
			put_number(to, value, 0, &d);
			break;
		case 0:
			return;
		default:
			put(to, '%');
			put(to, *format);
		}
	}
}

/* KERN_ERR and the like: \001 and a letter or digit. */
static const char *without_level(const char *format)
{
	while (format[0] == '\001' && format[1])
		format += 2;
	return format;
}

port_asmlinkage int _printk(const char *format, ...)
{
	struct sink to = {log_text + log_size, LOG - log_size, 0};
	va_list args;

	__builtin_va_start(args, format);
	format_to(&to, without_level(format), args);
	__builtin_va_end(args);
	log_size += to.length < to.size ? to.length : to.size;
	return (int)to.length;
}

stub int snprintf(char *text, port_addr size, const char *format, ...)
{
	struct sink to = {text, size ? size - 1 : 0, 0};
	va_list args;

	__builtin_va_start(args, format);
	format_to(&to, format, args);
	__builtin_va_end(args);
	if (size)
		text[to.length < to.size ? to.length : to.size] = 0;
	return (int)to.length;
}

port_asmlinkage void panic(const char *format, ...)
{
	struct sink to = {log_text + log_size, LOG - log_size, 0};
	va_list args;

	__builtin_va_start(args, format);
	format_to(&to, without_level(format), args);
	__builtin_va_end(args);
	log_size += to.length < to.size ? to.length : to.size;
	port_bug();
}

/* WARN where it is a call and no trap; redefine.h makes another of it. */
stub void warn_slowpath_fmt(const char *file, int line, unsigned int taint, const char *format, ...)
{
	struct sink to = {log_text + log_size, LOG - log_size, 0};
	va_list args;

	port_warn();
	if (!format)
		return;
	__builtin_va_start(args, format);
	format_to(&to, without_level(format), args);
	__builtin_va_end(args);
	log_size += to.length < to.size ? to.length : to.size;
}

/* Locks, rate limits, checks: there is one thread, and every line is printed. */

stub int ___ratelimit(void *state, const char *function)
{
	return 1;
}

stub void mutex_lock(void *lock)
{
}

stub void mutex_unlock(void *lock)
{
}

stub void *text_poke(void *to, const void *from, port_addr size)
{
	return memcpy(to, from, size);
}

stub void text_poke_sync(void)
{
}

stub char text_mutex[256];

/* CONFIG_LIST_HARDENED */

stub int __list_add_valid_or_report(void *entry, void *before, void *after)
{
	return 1;
}

stub int __list_del_entry_valid_or_report(void *entry)
{
	return 1;
}

stub void __fortify_panic(void)
{
	port_bug();
}

stub void __fortify_report(void)
{
	port_warn();
}

#ifdef __xtensa__
/* Debian's compiler is for a core without a division instruction, and comes without the functions in its place. */
unsigned int __umodsi3(unsigned int a, unsigned int b)
{
	unsigned int rest = 0;
	int bit;

	for (bit = 31; bit >= 0; bit--) {
		rest = rest << 1 | (a >> bit & 1);
		if (rest >= b)
			rest -= b;
	}
	return rest;
}

unsigned int __udivsi3(unsigned int a, unsigned int b)
{
	unsigned int rest = 0, quotient = 0;
	int bit;

	for (bit = 31; bit >= 0; bit--) {
		rest = rest << 1 | (a >> bit & 1);
		if (rest >= b) {
			rest -= b;
			quotient |= 1u << bit;
		}
	}
	return quotient;
}
#endif
