/* What printer and parser of the text form must agree on, and the lexer. Inside graph/. */
#ifndef SY_IR_SYNTAX_H
#define SY_IR_SYNTAX_H

#include "graph/ir/ir.h"

enum {
    SY_SYNTAX_NAME = SY_MAX_NAME + 1, /* room of a name with its terminator */
    SY_SYNTAX_NODES = 1 << 20,        /* most values of a parsed graph */
    SY_SYNTAX_SIZE = 256 << 20        /* most bytes of a text */
};

/* Letters, digits, '_', '.' and '-': what a name may be made of without quotes. */
bool sy_syntax_is_name(char c);
/* "output", "carry", "tap" or "step_output". */
const char *sy_syntax_end_name(sy_end_kind kind);
/* The scope a parameter has unless the text says otherwise: its name but the last part. Returns out. */
const char *sy_syntax_param_scope(const char *name, char out[SY_SYNTAX_NAME]);
/* True if the node's op and arguments make it a value of load time. */
bool sy_node_is_load_time(const sy_graph *graph, const sy_node *node);

typedef enum sy_token_kind {
    SY_TOKEN_END,    /* of the text */
    SY_TOKEN_WORD,   /* graph, matmul, route.top_k, f32: a letter or '_', then letters, digits, '_', '.' */
    SY_TOKEN_NUMBER, /* 12, -0.5, 1e-6, inf, nan: text is as written */
    SY_TOKEN_STRING, /* "…" with \" \\ \n \t \xHH: text is what it means */
    SY_TOKEN_VALUE,  /* %name */
    SY_TOKEN_PARAM,  /* @name or @"…" */
    SY_TOKEN_SCOPE,  /* !name or !"…" */
    SY_TOKEN_GROUP,  /* #12 */
    SY_TOKEN_ARROW,  /* -> */
    SY_TOKEN_MARK,   /* one of { } ( ) [ ] , ; : = : text is that character */
    SY_TOKEN_WRONG   /* the lexer has set the error */
} sy_token_kind;

typedef struct sy_token {
    sy_token_kind kind;
    uint32_t line, column; /* from 1; columns count bytes */
    uint32_t size;         /* of text */
    char text[SY_SYNTAX_NAME];
} sy_token;

typedef struct sy_lexer {
    const char *text;
    size_t size, at;
    uint32_t line;
    size_t line_begin;
    sy_token token; /* the one to look at */
    sy_error *error;
} sy_lexer;

/* Reads the next token into lexer->token. */
void sy_lexer_next(sy_lexer *lexer);
/* "line 3, column 14: …" at the token. Returns false. */
bool sy_lexer_fail(const sy_lexer *lexer, const sy_token *at, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;
/* The token as an error message names it: "the end of the text", "\"%x\"". Returns out. */
const char *sy_token_describe(const sy_token *token, char out[64]);

#endif
