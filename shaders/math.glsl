//@section all
// Functions whose accuracy Vulkan leaves open, written out so that every device computes them alike. One body
// serves float and vec4: T is the type, I its integers, B its truth values.

// sin and cos. x = k pi/2 + r, |r| <= pi/4: pi/2 in four parts, the first three of 8 bits, so that k times a part is exact in
// f32 for |x| up to 65536. Then Taylor's series, to 2e-9 and 3e-8.
#define SY_REDUCE(T, I) \
    T k = floor(x * T(0.636619772) + T(0.5)); \
    precise T r = x - k * T(1.5703125); \
    r = r - k * T(0.0004825592041015625); \
    r = r - k * T(1.2665987014770508e-06); \
    r = r - k * T(9.92093629e-10); \
    T z = r * r; \
    T s = r + r * z * (T(-0.166666667) + z * (T(8.33333333e-3) + z * (T(-1.98412698e-4) + z * T(2.75573192e-6)))); \
    T c = T(1) + z * (T(-0.5) + z * (T(4.16666667e-2) + z * (T(-1.38888889e-3) + z * T(2.48015873e-5)))); \
    I n = I(k);

// tanh. Small: Gauss' continued fraction, to 5e-10 below 0.6; else by exp(-2|x|), which cannot overflow.
#define SY_TANH(T) \
    T m = clamp(x, T(-1), T(1)); \
    T z = m * m; \
    T low = m * (T(945) + z * (T(105) + z)) / (T(945) + z * (T(420) + T(15) * z)); \
    T e = exp(T(-2) * abs(x)); \
    T high = sign(x) * (T(1) - e) / (T(1) + e); \
    return mix(low, high, step(T(0.6), abs(x)));

// erfc(a) for a >= 0 is exp(-a a) p(1 / (1 + 0.4 a)), p fitted to 1e-7 relative. No cancellation in either tail of gelu.
#define SY_GELU_ERF(T) \
    T a = min(abs(x) * T(0.707106781), T(12)); \
    T t = T(1) / (T(1) + T(0.4) * a); \
    T p = T(0.0391377956); \
    p = p * t - T(0.12987791); \
    p = p * t + T(0.0620509721); \
    p = p * t + T(0.113521188); \
    p = p * t + T(0.0617431924); \
    p = p * t + T(0.201238275); \
    p = p * t + T(0.199831039); \
    p = p * t + T(0.226739153); \
    p = p * t + T(0.225616351); \
    return max(x, T(0)) - T(0.5) * abs(x) * p * t * exp(-a * a);

#define SY_MATH(T, I) \
    T sy_sin(T x) { SY_REDUCE(T, I) return mix(s, c, T(n & I(1))) * (T(1) - T(n & I(2))); } \
    T sy_cos(T x) { SY_REDUCE(T, I) return mix(c, s, T(n & I(1))) * (T(1) - T((n + I(1)) & I(2))); } \
    T sy_tanh(T x) { SY_TANH(T) } \
    T sy_sigmoid(T x) { return T(1) / (T(1) + exp(min(-x, T(88)))); } \
    T sy_silu(T x) { return x / (T(1) + exp(min(-x, T(88)))); } \
    T sy_gelu_tanh(T x) { return T(0.5) * x * (T(1) + sy_tanh(T(0.797884561) * (x + T(0.044715) * x * x * x))); } \
    T sy_gelu_erf(T x) { SY_GELU_ERF(T) }

SY_MATH(float, int)
SY_MATH(vec4, ivec4)

// Truth as integers: 1 and 0.
#define SY_COMPARE(T, V) \
    int sy_less(T a, T b) { return int(a < b); } \
    int sy_equal(T a, T b) { return int(a == b); } \
    ivec4 sy_less(V a, V b) { return ivec4(lessThan(a, b)); } \
    ivec4 sy_equal(V a, V b) { return ivec4(equal(a, b)); }
SY_COMPARE(float, vec4)
SY_COMPARE(int, ivec4)
SY_COMPARE(uint, uvec4)

// `yes` where the condition is not 0.
#define SY_SELECT(C, CV, T, V) \
    T sy_select(C a, T yes, T no) { return a != C(0) ? yes : no; } \
    V sy_select(CV a, V yes, V no) { return mix(no, yes, notEqual(a, CV(0))); }
#define SY_SELECTS(T, V) SY_SELECT(int, ivec4, T, V) SY_SELECT(uint, uvec4, T, V) SY_SELECT(float, vec4, T, V)
SY_SELECTS(float, vec4)
SY_SELECTS(int, ivec4)
SY_SELECTS(uint, uvec4)

