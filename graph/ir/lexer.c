/* Words of the text form. The text is untrusted: every read is bounded by its size, names by the token's room,
 * and a byte that begins no token is named in the error. Comments run from "//" to the end of the line. */
#include "graph/ir/syntax.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool sy_syntax_is_name(char c)
{
    return is_letter(c) || is_digit(c) || c == '.' || c == '-';
}

const char *sy_syntax_end_name(sy_end_kind kind)
{
    static const char *const names[] = {[SY_END_OUTPUT] = "output",
                                        [SY_END_CARRY] = "carry",
                                        [SY_END_TAP] = "tap",
                                        [SY_END_STEP_OUTPUT] = "step_output"};
    return (unsigned)kind < sizeof names / sizeof *names ? names[kind] : "?";
}

const char *sy_syntax_param_scope(const char *name, char out[SY_SYNTAX_NAME])
{
    const char *dot = strrchr(name, '.');
    size_t n = dot ? (size_t)(dot - name) : 0;
    if (n >= SY_SYNTAX_NAME)
        n = 0;
    memcpy(out, name, n);
    out[n] = '\0';
    return out;
}

bool sy_lexer_fail(const sy_lexer *lexer, const sy_token *at, const char *format, ...)
{
    char what[400];
    va_list list;
    va_start(list, format);
    vsnprintf(what, sizeof what, format, list);
    va_end(list);
    for (char *c = what; *c; c++) /* what is quoted from the text must not break the line */
        if ((unsigned char)*c < 0x20)
            *c = '?';
    return sy_fail(lexer->error, SY_CODE_INVALID_FILE, "line %u, column %u: %s", at->line, at->column, what);
}

const char *sy_token_describe(const sy_token *token, char out[64])
{
    static const char *const before[] = {
        [SY_TOKEN_VALUE] = "%", [SY_TOKEN_PARAM] = "@", [SY_TOKEN_SCOPE] = "!", [SY_TOKEN_GROUP] = "#"};
    if (token->kind == SY_TOKEN_END)
        return "the end of the text";
    if (token->kind == SY_TOKEN_STRING)
        snprintf(out, 64, "the string \"%.40s\"", token->text);
    else
        snprintf(out, 64, "\"%s%.50s\"",
                 token->kind < sizeof before / sizeof *before && before[token->kind] ? before[token->kind] : "",
                 token->text);
    return out;
}

static char peek(const sy_lexer *l, size_t ahead)
{
    return l->size - l->at > ahead ? l->text[l->at + ahead] : '\0';
}

static void wrong(sy_lexer *l, const char *what)
{
    sy_lexer_fail(l, &l->token, "%s.", what);
    l->token.kind = SY_TOKEN_WRONG;
}

static void skip_space(sy_lexer *l)
{
    while (l->at < l->size) {
        char c = l->text[l->at];
        if (c == '\n') {
            l->line++;
            l->line_begin = ++l->at;
        } else if (c == ' ' || c == '\t' || c == '\r') {
            l->at++;
        } else if (c == '/' && peek(l, 1) == '/') {
            const char *end = memchr(l->text + l->at, '\n', l->size - l->at);
            l->at = end ? (size_t)(end - l->text) : l->size;
        } else {
            return;
        }
    }
}

static bool put(sy_lexer *l, char c)
{
    if (l->token.size + 1 >= SY_SYNTAX_NAME) {
        wrong(l, "names, numbers and strings have at most 1023 bytes");
        return false;
    }
    l->token.text[l->token.size++] = c;
    return true;
}

static int hex_digit(char c)
{
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The character an escape stands for, past it; 0 (no name holds it) if there is no such escape. */
static char read_escape(sy_lexer *l)
{
    char c = peek(l, 1);
    if (!c)
        return '\0';
    int high = hex_digit(peek(l, 2)), low = hex_digit(peek(l, 3));
    if (c == 'x' && high >= 0 && low >= 0) {
        l->at += 4;
        return (char)(high * 16 + low);
    }
    l->at += 2;
    return c == '"' || c == '\\' ? c : c == 'n' ? '\n' : c == 't' ? '\t' : '\0';
}

static void read_string(sy_lexer *l)
{
    for (l->at++; l->at < l->size && l->text[l->at] != '"';) {
        char c = l->text[l->at];
        if (c == '\n')
            break;
        if (c == '\\')
            c = read_escape(l);
        else
            l->at++;
        if (!c) {
            wrong(l, "strings hold no zero byte and only the escapes \\\" \\\\ \\n \\t \\xHH");
            return;
        }
        if (!put(l, c))
            return;
    }
    if (peek(l, 0) != '"')
        wrong(l, "the string does not end on its line");
    else
        l->at++;
}

/* After a sigil: a bare name or, but for values, a string. */
static void read_name(sy_lexer *l, sy_token_kind kind)
{
    l->token.kind = kind;
    l->at++;
    if (peek(l, 0) == '"' && kind != SY_TOKEN_VALUE) {
        read_string(l);
        return;
    }
    while (sy_syntax_is_name(peek(l, 0)))
        if (!put(l, l->text[l->at++]))
            return;
    if (!l->token.size)
        wrong(l, kind == SY_TOKEN_VALUE   ? "a value's name must follow '%', like %x or %12"
                 : kind == SY_TOKEN_PARAM ? "a parameter's name must follow '@'"
                                          : "a scope must follow '!'");
}

static void read_group(sy_lexer *l)
{
    l->token.kind = SY_TOKEN_GROUP;
    l->at++;
    while (is_digit(peek(l, 0)))
        if (!put(l, l->text[l->at++]))
            return;
    if (!l->token.size)
        wrong(l, "the number of a dispatch must follow '#' (comments begin with \"//\")");
}

static void read_number(sy_lexer *l)
{
    l->token.kind = SY_TOKEN_NUMBER;
    char before = 0;
    for (char c = peek(l, 0); is_digit(c) || is_letter(c) || c == '.' || c == '+' || c == '-'; c = peek(l, 0)) {
        bool sign = c == '+' || c == '-';
        if (sign && before && before != 'e' && before != 'E')
            return;
        if (!put(l, c))
            return;
        l->at++;
        before = c;
    }
}

void sy_lexer_next(sy_lexer *l)
{
    if (l->token.kind == SY_TOKEN_WRONG)
        return;
    skip_space(l);
    l->token.size = 0;
    l->token.line = l->line;
    l->token.column = (uint32_t)(l->at - l->line_begin) + 1;
    char c = peek(l, 0);
    if (l->at >= l->size) {
        l->token.kind = SY_TOKEN_END;
    } else if (c == '%') {
        read_name(l, SY_TOKEN_VALUE);
    } else if (c == '@') {
        read_name(l, SY_TOKEN_PARAM);
    } else if (c == '!') {
        read_name(l, SY_TOKEN_SCOPE);
    } else if (c == '#') {
        read_group(l);
    } else if (c == '"') {
        l->token.kind = SY_TOKEN_STRING;
        read_string(l);
    } else if (c == '-' && peek(l, 1) == '>') {
        l->token.kind = SY_TOKEN_ARROW;
        l->at += 2;
        memcpy(l->token.text, "->", l->token.size = 2);
    } else if (is_digit(c) || c == '-' || c == '+' || (c == '.' && is_digit(peek(l, 1)))) {
        read_number(l);
    } else if (is_letter(c)) {
        l->token.kind = SY_TOKEN_WORD;
        while (is_letter(c) || is_digit(c) || c == '.') {
            if (!put(l, c))
                return;
            l->at++;
            c = peek(l, 0);
        }
    } else if (c && strchr("{}()[],;:=", c)) {
        l->token.kind = SY_TOKEN_MARK;
        l->at++;
        put(l, c);
    } else {
        char what[80];
        snprintf(what, sizeof what, c > 0x20 && c < 0x7f ? "'%c' begins nothing" : "byte 0x%02x begins nothing",
                 (unsigned char)c);
        wrong(l, what);
    }
    l->token.text[l->token.size] = '\0';
}
