/* Numbers as text, the same in every locale: a program that calls setlocale must not change what is printed
 * into text forms, GLSL and JSON, or how they are read. Thread-safe. */
#ifndef SY_BASE_NUMBER_H
#define SY_BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

enum { SY_NUMBER_SIZE = 40 };

/* The shortest of 15, 16 or 17 digits that reads back as the same double; "inf", "-inf", "nan". Returns out. */
char *sy_number_print(double x, char out[SY_NUMBER_SIZE]);
/* Reads a decimal number that takes up all of `text`; a sign, "inf" and "nan" are fine. */
bool sy_number_read(const char *text, size_t size, double *out);

#endif
