//@section all
// Mean and mean square deviation of a run of rows, four channels at once. Deviations are summed from the run's first row: it is at
// most sqrt(rows) standard deviations from the mean, so the difference below loses no more than rows times a last bit, however
// large the mean is.
struct sy_moments {
    vec4 first, sum, squares;
};
void sy_moments_add(inout sy_moments m, bool first, vec4 x)
{
    m.first = first ? x : m.first;
    m.sum = first ? vec4(0.0) : m.sum;
    m.squares = first ? vec4(0.0) : m.squares;
    vec4 apart = x - m.first;
    m.sum += apart;
    m.squares = fma(apart, apart, m.squares);
}
vec4 sy_moments_mean(sy_moments m, float rows)
{
    return m.first + m.sum / rows;
}
vec4 sy_moments_spread(sy_moments m, float rows)
{
    return max((m.squares - m.sum * m.sum / rows) / rows, vec4(0.0));
}

