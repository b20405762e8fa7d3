/* Shapes: what each op infers of good arguments, and what it says of wrong ones. */
#include "graph/ir/build.h"
#include "tests/check.h"

#include <math.h>

/* Values to make ops of. */
static const char leaves[] =
    "%f = input : f32[6,4] %g = input : f32[4,6] %h = input : f16[6,4] %v = input : f32[4] "
    "%i = input : i32[6,4] %u = input : u32[6] %one = input : u32[1] %n = input : i32[6] "
    "%b = input : f32[2,3,5,4] %c = input : f32[2,3,7,4] %k = input : f32[2,3,4,7] %six = input : i32[1,1,1,1,1,2] "
    "%w = input : f32[8,4,5] %wt = input : bf16[8,5,4] %s = input : f32[12,4] %y = input : f32[12,9] "
    "%scores = input : f32[6,8] %r = route.top_k(%scores) k=2 %ec = route.expert_choice(%scores) k=1 group_rows=3 "
    "%rows = input : i32[9] %to = input : i32[9] %wgt = input : f32[9] %bias = input : f16[8,9] "
    "%im = input : f32[2,9,8,6] %sig = input : f16[1,9,4] %vol = input : f32[1,3,4,5,2] %ker = input : f16[3,3,6,10] "
    "%kg = input : f32[3,1,2,9] %k1 = input : f32[4,4,7] "
    "%huge = input : f32[1073741824] %e = input : i32[8,9] ";

static const struct good {
    const char *text, *type;
} good[] = {
    {"%x = step", "f32[1]"},
    {"%x = step_index", "u32[1]"},
    {"%x = iota axis=1 : i32[3,4]", "i32[3,4]"},
    {"%x = neg(%h)", "f32[6,4]"},
    {"%x = neg(%i)", "i32[6,4]"},
    {"%x = exp(%h)", "f32[6,4]"},
    {"%x = cast(%i) : bf16[6,4]", "bf16[6,4]"},
    {"%x = add(%f, %v)", "f32[6,4]"},
    {"%x = add(%v, %h)", "f32[6,4]"},
    {"%x = less(%f, %v)", "i32[6,4]"},
    {"%x = select(%i, %v, 1)", "f32[6,4]"},
    {"%x = reshape(%h) : f16[2,12]", "f16[2,12]"},
    {"%x = transpose(%b) ints=[3,0,2,1]", "f32[4,2,5,3]"},
    {"%x = slice(%f) ints=[2,1] : f32[4,3]", "f32[4,3]"},
    {"%x = broadcast(%v) : f32[9,4]", "f32[9,4]"},
    {"%x = concat(%f, %f, %s) axis=0", "f32[24,4]"},
    {"%x = concat(%h, %h) axis=1", "f16[6,8]"},
    {"%x = take_rows(%h, %i)", "f32[6,4,4]"},
    {"%x = take_rows(%i, %n)", "i32[6,4]"},
    {"%x = take_last(%f, %i)", "f32[6,4]"},
    {"%x = conv(%im, %ker)", "f32[2,7,6,10]"},
    {"%x = conv(%im, %ker) stride=[2,1] pad=[1,1] pad_high=[0,2]", "f32[2,4,9,10]"},
    {"%x = conv(%im, %ker) pad=[2,2] pad_high=[2,3] up=[2,2]", "f32[2,19,18,10]"},
    {"%x = conv(%im, %ker) dilate=[4,0]", "f32[2,1,6,10]"},
    {"%x = conv(%im, %kg) groups=3", "f32[2,7,8,9]"},
    {"%x = conv(%sig, %k1)", "f32[1,6,7]"},
    {"%x = pool(%im) window=[2,3] stride=[2,3]", "f32[2,4,2,6]"},
    {"%x = pool(%vol) window=[3,3,3] pad=[1,1,1] pad_high=[1,1,1] mode=2", "f32[1,3,4,5,2]"},
    {"%x = resize(%im) mode=1 : f32[2,18,3,6]", "f32[2,18,3,6]"},
    {"%x = pad(%h) pad=[2,0] pad_high=[0,1]", "f16[8,5]"},
    {"%x = pad(%i) pad=[5,0] mode=2", "i32[11,4]"},
    {"%x = random_normal(%u, %one) stream=3 : f32[6,2,2]", "f32[6,2,2]"},
    {"%x = matmul(%f, %g)", "f32[6,6]"},
    {"%x = matmul(%v, %g)", "f32[6]"},
    {"%x = matmul(%b, %g)", "f32[2,3,5,6]"},
    {"%x = matmul(%b, %k)", "f32[2,3,5,7]"},
    {"%x = matmul(%b, %c) transpose_b=1", "f32[2,3,5,7]"},
    {"%x = attention(%b, %c, %c) scale=0.5", "f32[2,3,5,4]"},
    {"%z = slice(%c) ints=[0,1,0,0] : f32[2,1,7,4] %x = attention(%b, %z, %z) scale=0.5 causal=1", "f32[2,3,5,4]"},
    {"%z = slice(%c) ints=[0,0,0,0] : f32[2,3,1,1] %x = attention(%b, %c, %c, %z) scale=0.5", "f32[2,3,5,4]"},
    {"%z = slice(%scores) ints=[0,0] : f32[6,2] %q = route.top_k(%z) k=1 %x = route_attention(%b, %c, %c, %q) scale=1 "
     "block_rows=2 block_keys=4",
     "f32[2,3,5,4]"},
    {"%x = softmax(%h)", "f32[6,4]"},
    {"%x = layer_norm(%v) eps=1e-6", "f32[4]"},
    {"%x = reduce_mean(%b)", "f32[2,3,5,1]"},
    {"%x = top_k(%scores) k=8", "i32[6,8]"},
    {"%x = sort(%f) order=1", "i32[6,4]"},
    {"%x = sort.place(%i) length=3", "i32[6,4]"},
    {"%x = group_moment(%im) groups=2 mode=1 : f32[2,6,1]", "f32[2,6,1]"},
    {"%x = moments(%b) length=5", "f32[2,6,4]"},
    {"%x = sort.merge(%f, %i) length=2", "i32[6,4]"},
    {"%x = cumsum(%i)", "i32[6,4]"},
    {"%x = cumsum(%h)", "f32[6,4]"},
    {"%x = histogram(%i) targets=9", "i32[6,9]"},
    {"%x = entmax(%h) alpha=1.5", "f32[6,4]"},
    {"%x = route.top_k(%scores) k=3 renormalise=1", "route[6->8; 18]"},
    {"%x = route.expert_choice(%scores) k=2 group_rows=2", "route[6->8; 48]"},
    {"%x = route.split(%r, %n) target=8 targets=9", "route[6->9; 12]"},
    {"%x = route.split(%ec, %n) target=0 targets=8", "route[6->8; 22]"}, /* a masked row may have had no slot */
    {"%x = route.capacity(%r) capacity=1 group_rows=3 order=1", "route[6->8; 12]"},
    {"%x = route.build(%rows, %to, %wgt) rows=5 targets=3", "route[5->3; 9]"},
    {"%x = grouped_matmul(%f, %w, %r) gather=1", "f32[12,5]"},
    {"%x = grouped_matmul(%s, %wt, %r) transpose_b=1", "f32[12,5]"},
    {"%x = combine(%y, %r) weighted=1", "f32[6,9]"},
    {"%x = route.gather(%h, %r)", "f32[12,4]"},
    {"%x = route.scatter(%s, %r, %h)", "f32[6,4]"},
    {"%x = route.spread(%bias, %r)", "f32[12,9]"},
    {"%x = route.spread(%e, %r)", "i32[12,9]"},
    {"%x = route.load(%r)", "i32[8]"},
    /* count 1, offsets 9, three lists of 12, row offsets 7, row slots 12, tiles 1 + 2 * 9, indirect 24 */
    {"%x = route.words(%r)", "u32[108]"},
};

static const struct wrong {
    const char *text, *message;
} wrong[] = {
    {"%x = const [1, 2] : f32[3]", "const: 2 values for 3 elements; give 1 or one each."},
    {"%x = const 1.5 : i32[3]", "const: 1.5 is no i32."},
    {"%x = const 2147483648 : i32[1]", "const: 2.14748e+09 is no i32."},
    {"%x = const -1 : u32[1]", "const: -1 is no u32."},
    {"%x = const nan : u32[1]", "const: nan is no u32."},
    {"%x = iota axis=2 : i32[3,4]", "iota: axis 2 is not below the rank 2."},
    {"%x = iota axis=-1 : i32[3,4]", "iota: axis -1 is not below the rank 2."},
    {"%x = iota axis=0", "iota: its type has to be given."},
    {"%x = iota axis=0 : route[2->2; 2]", "iota: its type must be a tensor's."},
    {"%x = exp(%i)", "exp: works on floating-point numbers; cast first; its arguments are i32[6,4]."},
    {"%x = neg(%r)", "neg: argument 1 must be a tensor, not a route; its arguments are route[6->8; 12]."},
    {"%x = cast(%f)", "cast: its type has to be given; its arguments are f32[6,4]."},
    {"%x = cast(%f) : f16[4,6]", "cast: a cast keeps the dimensions; its arguments are f32[6,4]."},
    {"%x = add(%f, %i)", "add: the dtypes differ; cast one of them; its arguments are f32[6,4], i32[6,4]."},
    {"%x = add(%f, %g)", "add: dimensions 6 and 4 do not broadcast; its arguments are f32[6,4], f32[4,6]."},
    {"%x = less(%u, %n)", "less: the dtypes differ; cast one of them; its arguments are u32[6], i32[6]."},
    {"%x = select(%f, %f, %f)",
     "select: the condition must be i32, as less and equal give it; its arguments are f32[6,4], f32[6,4], f32[6,4]."},
    {"%x = select(%i, %f, %i)",
     "select: the dtypes differ; cast one of them; its arguments are i32[6,4], f32[6,4], i32[6,4]."},
    {"%x = reshape(%f) : f32[5,5]",
     "reshape: the number of elements must stay, not become that of f32[5,5]; its arguments are f32[6,4]."},
    {"%x = reshape(%f) : f16[24]", "reshape gives f32[24] here, not f16[24]."},
    {"%x = transpose(%f) ints=[0,0]", "transpose: ints must be a permutation of 0…1; its arguments are f32[6,4]."},
    {"%x = transpose(%f) ints=[0,2]", "transpose: ints must be a permutation of 0…1; its arguments are f32[6,4]."},
    {"%x = transpose(%f) ints=[-1,0]", "transpose: ints must be a permutation of 0…1; its arguments are f32[6,4]."},
    {"%x = transpose(%f) ints=[1,0,2]",
     "transpose: ints has more entries than the argument has dimensions; its arguments are f32[6,4]."},
    {"%x = slice(%f) : f32[6]", "slice: a slice keeps the rank; its arguments are f32[6,4]."},
    {"%x = slice(%f) ints=[0,2] : f32[6,3]", "slice: dimension 1: 2 + 3 is outside; its arguments are f32[6,4]."},
    {"%x = slice(%f) ints=[-1,0] : f32[6,3]", "slice: dimension 0: -1 + 6 is outside; its arguments are f32[6,4]."},
    {"%x = slice(%f) ints=[2147483647,0] : f32[6,3]",
     "slice: dimension 0: 2147483647 + 6 is outside; its arguments are f32[6,4]."},
    {"%x = broadcast(%f) : f32[6,5]", "broadcast: only dimensions of 1 are repeated; its arguments are f32[6,4]."},
    {"%x = broadcast(%f) : f32[4]", "broadcast: only dimensions of 1 are repeated; its arguments are f32[6,4]."},
    {"%x = concat(%f, %f) axis=2", "concat: axis 2 is not below the rank 2; its arguments are f32[6,4], f32[6,4]."},
    {"%x = concat(%f, %v) axis=1",
     "concat: argument 2 differs in more than axis 1; its arguments are f32[6,4], f32[4]."},
    {"%x = concat(%f, %h) axis=0",
     "concat: argument 2 differs in more than axis 0; its arguments are f32[6,4], f16[6,4]."},
    {"%x = concat(%f, %g) axis=0",
     "concat: argument 2 differs in more than axis 0; its arguments are f32[6,4], f32[4,6]."},
    {"%x = concat(%huge, %huge) axis=0",
     "concat: the result is too long; its arguments are f32[1073741824], f32[1073741824]."},
    {"%x = take_rows(%f, %f)", "take_rows: the ids must be i32; its arguments are f32[6,4], f32[6,4]."},
    {"%x = take_rows(%f, %six)",
     "take_rows: the result would have more than 6 dimensions; its arguments are f32[6,4], i32[1,1,1,1,1,2]."},
    {"%x = take_last(%f, %u)", "take_last: the ids must be i32 of the same rank; its arguments are f32[6,4], u32[6]."},
    {"%x = take_last(%g, %i)",
     "take_last: all dimensions but the last must be equal; its arguments are f32[4,6], i32[6,4]."},
    {"%x = conv(%f, %g)",
     "conv: an image is [N,S…,C] with 1 to 3 spatial dimensions; its arguments are f32[6,4], f32[4,6]."},
    {"%x = conv(%im, %k1)", "conv: the weight is [K…,C/groups,O] with a K for each spatial dimension; its arguments "
                            "are f32[2,9,8,6], f32[4,4,7]."},
    {"%x = conv(%im, %ker) groups=2",
     "conv: 2 groups: they divide both channels, and the weight has C/groups of them; its "
     "arguments are f32[2,9,8,6], f16[3,3,6,10]."},
    {"%x = conv(%im, %ker) groups=-1",
     "conv: -1 groups: they divide both channels, and the weight has C/groups of them; "
     "its arguments are f32[2,9,8,6], f16[3,3,6,10]."},
    {"%x = conv(%im, %ker) stride=[1,1,1]",
     "conv: stride has 1 at 2; it takes 2 numbers up to 65535; its arguments are f32[2,9,8,6], f16[3,3,6,10]."},
    {"%x = conv(%im, %ker) pad=[-1,0]",
     "conv: pad has -1 at 0; it takes 2 numbers up to 65535; its arguments are f32[2,9,8,6], f16[3,3,6,10]."},
    {"%x = conv(%im, %ker) up=[65536,1]",
     "conv: up has 65536 at 0; it takes 2 numbers up to 65535; its arguments are f32[2,9,8,6], f16[3,3,6,10]."},
    {"%x = conv(%im, %ker) dilate=[5,1]",
     "conv: the window is longer than dimension 1 with its padding; its arguments are "
     "f32[2,9,8,6], f16[3,3,6,10]."},
    {"%z = broadcast(0) : f32[1,2000000,1] %w2 = broadcast(0) : f32[1,1,1] %x = conv(%z, %w2) up=[65535]",
     "conv: dimension 1 is too long; its arguments are f32[1,2000000,1], f32[1,1,1]."},
    {"%x = pool(%im)", "pool: a window is at least 1 and longer than its pads; its arguments are f32[2,9,8,6]."},
    {"%x = pool(%im) window=[2,2] pad=[2,0]",
     "pool: a window is at least 1 and longer than its pads; its arguments are f32[2,9,8,6]."},
    {"%x = pool(%im) window=[2,2] mode=3", "pool: mode is 3, and must be 0, 1 or 2; its arguments are f32[2,9,8,6]."},
    {"%x = pool(%im) window=[600,600] pad=[599,599]",
     "pool: a window has at most 65535 pixels; its arguments are f32[2,9,8,6]."},
    {"%x = resize(%im)", "resize: its type has to be given; its arguments are f32[2,9,8,6]."},
    {"%x = resize(%im) : f32[2,9,8,7]", "resize: only spatial dimensions are resized; its arguments are f32[2,9,8,6]."},
    {"%x = resize(%im) : f32[2,9,8]", "resize: only spatial dimensions are resized; its arguments are f32[2,9,8,6]."},
    {"%x = resize(%im) : f32[2,1,40000,6]",
     "resize: dimension 2 is longer than 32767; its arguments are f32[2,9,8,6]."},
    {"%x = pad(%f) pad=[6,0] mode=2", "pad: dimension 0: mode 2 pads at most 5; its arguments are f32[6,4]."},
    {"%x = pad(%f) pad=[0,5] mode=3", "pad: dimension 1: mode 3 pads at most 4; its arguments are f32[6,4]."},
    {"%x = pad(%f) mode=4", "pad: mode is 4, and must be 0 to 3; its arguments are f32[6,4]."},
    {"%x = random_normal(%n) : f32[6,2]",
     "random_normal: it takes u32 seeds, one for each first index of its f32 result; its arguments are i32[6]."},
    {"%x = random_normal(%u) : f32[7,2]",
     "random_normal: it takes u32 seeds, one for each first index of its f32 result; its arguments are u32[6]."},
    {"%x = random_normal(%u, %u) : f32[6,2]",
     "random_normal: the counter must be u32[1]; its arguments are u32[6], u32[6]."},
    {"%x = matmul(%f, %f)", "matmul: the inner dimensions differ; its arguments are f32[6,4], f32[6,4]."},
    {"%x = matmul(%f, %g) transpose_b=1", "matmul: the inner dimensions differ; its arguments are f32[6,4], f32[4,6]."},
    {"%x = matmul(%f, %f) transpose_b=2",
     "matmul: transpose_b is 2, and must be 0 or 1; its arguments are f32[6,4], f32[6,4]."},
    {"%x = matmul(%f, %v)", "matmul: the right one is a matrix, or has as many dimensions as the left one; its "
                            "arguments are f32[6,4], f32[4]."},
    {"%x = matmul(%f, %k)", "matmul: the right one is a matrix, or has as many dimensions as the left one; its "
                            "arguments are f32[6,4], f32[2,3,4,7]."},
    {"%x = matmul(%i, %g)", "matmul: both must be floating-point; its arguments are i32[6,4], f32[4,6]."},
    {"%z = reshape(%k) : f32[3,2,4,7] %x = matmul(%b, %z)",
     "matmul: the leading dimensions differ; its arguments are f32[2,3,5,4], f32[3,2,4,7]."},
    {"%x = attention(%f, %b, %b) scale=1", "attention: q, k and v have 4 dimensions: batch, head, token, channel; its "
                                           "arguments are f32[6,4], f32[2,3,5,4], f32[2,3,5,4]."},
    {"%z = reshape(%c) : f32[3,2,7,4] %x = attention(%b, %z, %z) scale=1",
     "attention: batches, and heads of k and v, must be equal, and those heads divide the heads of q; its arguments "
     "are f32[2,3,5,4], f32[3,2,7,4], f32[3,2,7,4]."},
    {"%x = attention(%b, %b, %c) scale=1",
     "attention: k and v must have equal tokens, q and k equal channels; its arguments are "
     "f32[2,3,5,4], f32[2,3,5,4], f32[2,3,7,4]."},
    {"%x = attention(%b, %k, %k) scale=1",
     "attention: k and v must have equal tokens, q and k equal channels; its arguments are "
     "f32[2,3,5,4], f32[2,3,4,7], f32[2,3,4,7]."},
    {"%z = cast(%b) : i32[2,3,5,4] %x = attention(%z, %b, %b) scale=1",
     "attention: all must be floating-point; its arguments are i32[2,3,5,4], f32[2,3,5,4], f32[2,3,5,4]."},
    {"%x = attention(%b, %c, %c)", "attention: scale is 0, and must be a number other than 0; its arguments are "
                                   "f32[2,3,5,4], f32[2,3,7,4], f32[2,3,7,4]."},
    {"%x = attention(%b, %c, %c) scale=inf", "attention: scale is inf, and must be a number other than 0; its "
                                             "arguments are f32[2,3,5,4], f32[2,3,7,4], f32[2,3,7,4]."},
    {"%x = attention(%b, %c, %c) scale=1 causal=2",
     "attention: causal is 2, and must be 0 or 1; its arguments are f32[2,3,5,4], f32[2,3,7,4], f32[2,3,7,4]."},
    {"%x = attention(%b, %c, %c, %v) scale=1", "attention: the bias does not broadcast to batch, head, query, key; its "
                                               "arguments are f32[2,3,5,4], f32[2,3,7,4], f32[2,3,7,4], f32[4]."},
    {"%x = attention(%b, %c, %c, %one) scale=1",
     "attention: the bias is floating-point, of at most 4 dimensions; its arguments are f32[2,3,5,4], f32[2,3,7,4], "
     "f32[2,3,7,4], u32[1]."},
    {"%x = route_attention(%b, %c, %c, %c) scale=1 block_rows=2 block_keys=4",
     "route_attention: argument 4 must be a route; its arguments are f32[2,3,5,4], f32[2,3,7,4], f32[2,3,7,4], "
     "f32[2,3,7,4]."},
    {"%x = route_attention(%b, %c, %c, %r) scale=1 block_rows=2",
     "route_attention: block_rows 2 and block_keys 0 are not both 1 to 1048576; its arguments are f32[2,3,5,4], "
     "f32[2,3,7,4], f32[2,3,7,4], route[6->8; 12]."},
    {"%x = route_attention(%b, %c, %c, %r) scale=1 block_rows=2 block_keys=4",
     "route_attention: the route must have 18 rows, or 6, and 2 targets; its arguments are f32[2,3,5,4], "
     "f32[2,3,7,4], f32[2,3,7,4], route[6->8; 12]."},
    {"%x = route_attention(%b, %c, %c, %r) scale=1 block_rows=129 block_keys=4 skip=1",
     "route_attention: skip is 1 with 129 block_rows: it is at least 0, and 0 above 128 rows; its arguments are "
     "f32[2,3,5,4], f32[2,3,7,4], f32[2,3,7,4], route[6->8; 12]."},
    {"%x = softmax(%i)", "softmax: works on floating-point numbers; cast first; its arguments are i32[6,4]."},
    {"%x = rms_norm(%f) eps=-1", "rms_norm: eps must be between 0 and 1; its arguments are f32[6,4]."},
    {"%x = rms_norm(%f) eps=nan", "rms_norm: eps must be between 0 and 1; its arguments are f32[6,4]."},
    {"%x = top_k(%f)", "top_k: k = 0 is not between 1 and the last dimension; its arguments are f32[6,4]."},
    {"%x = top_k(%f) k=5", "top_k: k = 5 is not between 1 and the last dimension; its arguments are f32[6,4]."},
    {"%x = entmax(%f) alpha=3", "entmax: alpha must be 1.5 or 2; its arguments are f32[6,4]."},
    {"%x = sort(%i)", "sort: works on floating-point numbers; cast first; its arguments are i32[6,4]."},
    {"%x = sort(%f) order=2", "sort: order is 2, and must be 0 or 1; its arguments are f32[6,4]."},
    {"%x = sort.rank(%f) length=-1", "sort.rank: length = -1 is negative; its arguments are f32[6,4]."},
    {"%x = sort.place(%f)", "sort.place: ranks are i32; its arguments are f32[6,4]."},
    {"%x = group_moment(%im) groups=4 : f32[2,4,1]",
     "group_moment: 4 groups do not divide the channels; its arguments are f32[2,9,8,6]."},
    {"%x = group_moment(%im) groups=2 : f32[2,3,1]",
     "group_moment: the type is f32[N,R,1], R a multiple of 2 that divides 6; its arguments are f32[2,9,8,6]."},
    {"%x = moments(%f) length=4", "moments: length = 4: it is 1 to 128 and divides the rows; its arguments are f32[6,4]."},
    {"%x = moments(%h) length=3", "moments: works on f32; cast first; its arguments are f16[6,4]."},
    {"%x = sort.merge(%f, %i)", "sort.merge: length must be at least 1; its arguments are f32[6,4], i32[6,4]."},
    {"%x = sort.merge(%g, %i) length=1",
     "sort.merge: the indices must be i32 of the numbers' dimensions; its arguments are f32[4,6], i32[6,4]."},
    {"%x = cumsum(%u)", "cumsum: adds floating-point numbers or i32; cast first; its arguments are u32[6]."},
    {"%x = histogram(%f) targets=2", "histogram: counts i32 numbers; cast first; its arguments are f32[6,4]."},
    {"%x = histogram(%i)",
     "histogram: targets must be at least 1, and rows at most 16777216 long; its arguments are i32[6,4]."},
    {"%x = route.top_k(%v) k=1",
     "route.top_k: scores are a floating-point matrix of rows by targets; its arguments are f32[4]."},
    {"%x = route.top_k(%i) k=1",
     "route.top_k: scores are a floating-point matrix of rows by targets; its arguments are i32[6,4]."},
    {"%x = route.top_k(%f) k=5",
     "route.top_k: k = 5 is not between 1 and the number of targets; its arguments are f32[6,4]."},
    {"%x = route.top_k(%f) k=1 renormalise=-1",
     "route.top_k: renormalise is -1, and must be 0 or 1; its arguments are f32[6,4]."},
    {"%x = route.top_k(%r) k=1",
     "route.top_k: argument 1 must be a tensor, not a route; its arguments are route[6->8; 12]."},
    {"%x = route.expert_choice(%f) k=1 group_rows=4",
     "route.expert_choice: group_rows = 4 does not divide the rows; its arguments are f32[6,4]."},
    {"%x = route.expert_choice(%f) k=1",
     "route.expert_choice: group_rows = 0 does not divide the rows; its arguments are f32[6,4]."},
    {"%x = route.expert_choice(%f) k=4 group_rows=3",
     "route.expert_choice: k = 4 is not between 1 and group_rows; its arguments are f32[6,4]."},
    {"%x = route.split(%f, %n) target=0 targets=8",
     "route.split: argument 1 must be a route; its arguments are f32[6,4], i32[6]."},
    {"%x = route.split(%r, %r) target=0 targets=8",
     "route.split: argument 2 must be a tensor, not a route; its arguments are route[6->8; 12], route[6->8; 12]."},
    {"%x = route.split(%r, %u) target=0 targets=8",
     "route.split: the mask must be i32, one for each row; its arguments are route[6->8; 12], u32[6]."},
    {"%x = route.split(%r, %rows) target=0 targets=8",
     "route.split: the mask must be i32, one for each row; its arguments are route[6->8; 12], i32[9]."},
    {"%x = route.split(%r, %n) target=0 targets=7",
     "route.split: target 0 of 7: there must be at least the route's targets, and target "
     "among them; its arguments are route[6->8; 12], i32[6]."},
    {"%x = route.split(%r, %n) target=9 targets=9",
     "route.split: target 9 of 9: there must be at least the route's targets, and target "
     "among them; its arguments are route[6->8; 12], i32[6]."},
    {"%x = route.capacity(%r) capacity=1 group_rows=5",
     "route.capacity: group_rows = 5 does not divide the rows; its arguments are route[6->8; 12]."},
    {"%x = route.capacity(%r) group_rows=6",
     "route.capacity: capacity must be at least 1, and order 0 or 1; its arguments are route[6->8; 12]."},
    {"%x = route.capacity(%r) capacity=1 group_rows=6 order=2",
     "route.capacity: capacity must be at least 1, and order 0 or 1; its arguments are route[6->8; 12]."},
    {"%x = route.capacity(%ec) capacity=1 group_rows=6 order=1",
     "route.capacity: order 1 needs first and second choices, which only routes of route.top_k have; its arguments are "
     "route[6->8; 16]."},
    {"%x = route.build(%rows, %to, %v) rows=5 targets=3",
     "route.build: it takes three lists of equal length: i32 rows, i32 targets, f32 weights; its arguments are i32[9], "
     "i32[9], f32[4]."},
    {"%x = route.build(%rows, %wgt, %wgt) rows=5 targets=3",
     "route.build: it takes three lists of equal length: i32 rows, i32 targets, f32 weights; its arguments are i32[9], "
     "f32[9], f32[9]."},
    {"%x = route.build(%rows, %to, %wgt) rows=5", "route.build: rows and targets must be at least 1, and capacity at "
                                                  "least 0; its arguments are i32[9], i32[9], f32[9]."},
    {"%x = route.build(%rows, %to, %wgt) rows=5 targets=3 capacity=2 group_rows=2",
     "route.build: group_rows = 2 does not divide the rows; its arguments are i32[9], i32[9], f32[9]."},
    {"%x = route.build(%rows, %to, %wgt) rows=2000000000 targets=2000000000",
     "route.build gives type route[2000000000->2000000000; 9]: it has more elements than 32-bit indices reach."},
    {"%x = grouped_matmul(%f, %w, %f) gather=1",
     "grouped_matmul: argument 3 must be a route; its arguments are f32[6,4], f32[8,4,5], f32[6,4]."},
    {"%x = grouped_matmul(%f, %g, %r) gather=1",
     "grouped_matmul: it takes a floating-point matrix and a stack of matrices; its "
     "arguments are f32[6,4], f32[4,6], route[6->8; 12]."},
    {"%z = slice(%w) : f32[7,4,5] %x = grouped_matmul(%f, %z, %r) gather=1",
     "grouped_matmul: 7 matrices for 8 targets; its arguments are f32[6,4], f32[7,4,5], route[6->8; 12]."},
    {"%x = grouped_matmul(%s, %w, %r) gather=1",
     "grouped_matmul: the left one must have a row for each row of the route (gather=1); its "
     "arguments are f32[12,4], f32[8,4,5], route[6->8; 12]."},
    {"%x = grouped_matmul(%f, %w, %r)",
     "grouped_matmul: the left one must have a row for each slot of the route (gather=0); its "
     "arguments are f32[6,4], f32[8,4,5], route[6->8; 12]."},
    {"%x = grouped_matmul(%f, %w, %r) gather=1 transpose_b=1",
     "grouped_matmul: the inner dimensions differ; its arguments are f32[6,4], f32[8,4,5], route[6->8; 12]."},
    {"%x = grouped_matmul(%f, %w, %r) gather=3",
     "grouped_matmul: gather is 3, and must be 0 or 1; its arguments are f32[6,4], f32[8,4,5], route[6->8; 12]."},
    {"%x = combine(%f, %r)",
     "combine: argument 1 must be a matrix with a row for each slot of the route; its arguments are f32[6,4], "
     "route[6->8; 12]."},
    {"%x = combine(%y, %r) weighted=2",
     "combine: weighted is 2, and must be 0 or 1; its arguments are f32[12,9], route[6->8; 12]."},
    {"%z = cast(%y) : i32[12,9] %x = combine(%z, %r)",
     "combine: works on floating-point numbers; cast first; its arguments are i32[12,9], route[6->8; 12]."},
    {"%x = route.gather(%s, %r)",
     "route.gather: argument 1 must be a matrix with a row for each row of the route; its arguments are "
     "f32[12,4], route[6->8; 12]."},
    {"%x = route.spread(%f, %r)",
     "route.spread: argument 1 must be a matrix with a row for each target of the route; its arguments are "
     "f32[6,4], route[6->8; 12]."},
    {"%x = route.scatter(%s, %r, %s)",
     "route.scatter: argument 3 must be a matrix with a row for each row of the route; its arguments "
     "are f32[12,4], route[6->8; 12], f32[12,4]."},
    {"%x = route.scatter(%s, %r, %i)",
     "route.scatter: the base must have the columns and the kind of numbers of the first; its "
     "arguments are f32[12,4], route[6->8; 12], i32[6,4]."},
    {"%x = route.load(%f)", "route.load: argument 1 must be a route; its arguments are f32[6,4]."},
    {"%x = concat(%f, %f, %f, %f, %v) axis=0",
     "concat: argument 5 differs in more than axis 0; its arguments are f32[6,4], f32[6,4], "
     "f32[6,4], f32[6,4], …."},
};

static sy_graph *parse(const char *statement, sy_error *error)
{
    char text[2048];
    int size = snprintf(text, sizeof text, "graph { %s %s }", leaves, statement);
    REQUIRE(size > 0 && size < (int)sizeof text);
    return sy_graph_parse(text, (size_t)size, error);
}

static void test_good(void)
{
    bool seen[SY_OP_COUNT] = {false};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        sy_error error = {0};
        char text[96];
        sy_graph *g = parse(good[i].text, &error);
        CHECK_SAY(g, "%s: %s", good[i].text, error.message);
        if (g) {
            CHECK_TEXT(sy_type_text(&g->nodes[g->n_nodes - 1].type, text), good[i].type);
            seen[g->nodes[g->n_nodes - 1].op] = true;
        }
        sy_graph_destroy(&g);
    }
    /* Of ops that share an inference, one is enough. */
    for (sy_op op = SY_OP_NONE + 1; op < SY_OP_COUNT; op++) {
        bool like = sy_op_get(op)->infer == sy_op_get(SY_OP_INPUT)->infer || op == SY_OP_CONST;
        for (sy_op other = SY_OP_NONE + 1; other < SY_OP_COUNT && !like; other++)
            like = seen[other] && sy_op_get(other)->infer == sy_op_get(op)->infer;
        CHECK_SAY(like, "no good line for %s", sy_op_get(op)->name);
    }
}

/* The message ends with what the op says; before it stands the place in the text. */
static void test_wrong(void)
{
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        sy_error error = {0};
        sy_graph *g = parse(wrong[i].text, &error);
        const char *says = strstr(error.message, wrong[i].message);
        CHECK_SAY(!g && says && !strcmp(says, wrong[i].message), "%s: \"%s\"", wrong[i].text, error.message);
        sy_graph_destroy(&g);
    }
}

/* Constants: one value or one each, integers in range. */
static void test_constants(void)
{
    sy_error error = {0};
    sy_graph *g =
        parse("%x = const [4294967295, 0] : u32[2] %y2 = const -2147483648 : i32[5] %z = const 0.1 : f16[2,2]", &error);
    CHECK_SAY(g, "%s", error.message);
    sy_graph_destroy(&g);
}

/* Chains of splits and capacities are bounded, so that inference of a long one is not quadratic. */
static void test_links(void)
{
    sy_graph *g = sy_graph_create("links");
    REQUIRE(g);
    sy_value r = sy_route_top_k(g, sy_input(g, "scores", SY_T(SY_F32, 4, 4)), 1, false);
    for (int i = 0; i < 65; i++)
        r = sy_route_capacity(g, r, 1, 4, false);
    CHECK(r && sy_graph_check(g, NULL));
    CHECK(!sy_route_capacity(g, r, 1, 4, false));
    CHECK_TEXT(
        g->error.message,
        "route.capacity: more than 64 splits and capacities follow each other; its arguments are route[4->4; 4].");
    sy_graph_destroy(&g);
}

static void test_table(void)
{
    for (sy_op op = SY_OP_NONE + 1; op < SY_OP_COUNT; op++) {
        const sy_op_info *info = sy_op_get(op);
        CHECK(info->name && sy_op_find(info->name) == op && info->infer && info->flops && info->eval && *info->doc);
        CHECK(info->least <= info->most);
    }
    CHECK(sy_op_find("no such op") == SY_OP_NONE && sy_op_find("") == SY_OP_NONE);
    CHECK(!sy_op_get(SY_OP_NONE)->infer);
}

int main(void)
{
    test_good();
    test_wrong();
    test_constants();
    test_links();
    test_table();
    return check_done();
}
