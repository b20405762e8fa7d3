//@section vec4
// Element-wise and indexed ops: each invocation makes four consecutive elements of every output.
void main()
{
    uint i = (gl_WorkGroupID.y * @{groups_x}u + gl_WorkGroupID.x) * @{local}u + gl_LocalInvocationID.x;
    if (i < @{whole}u)
        store4(i);
//@if rest
    else if (i == @{whole}u)
        for (uint j = @{whole}u * 4u; j < @{count}u; j++)
            store1(j);
//@end
}
