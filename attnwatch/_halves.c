/* attnwatch._halves: adds up maps of half-precision numbers about as fast as they can be read from memory.

   Optional: attnwatch.reduction does the same with numpy, in three times the time, where this was not compiled. Both
   take a half's bits, shifted so that its fraction meets a single's, as a single. That is the half's value, also of a
   subnormal one, but for a factor: the difference of the two exponents' biases. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>
#include <string.h>

#define HALF sizeof(uint16_t)
#define NEGATIVE_ZERO 0x8000
#define INFINITE 0x7C00 /* above it are NaN and then everything negative */
#define FRACTION_SHIFT 13
#define SIGN 0x8000

#if defined(__x86_64__) && defined(__GLIBC__)
#define FOR_EACH_CPU __attribute__((target_clones("avx2", "default")))
#else
#define FOR_EACH_CPU
#endif

/* Values need not lie at even addresses in a file. */
static inline uint16_t half_at(const char *map, size_t index)
{
    uint16_t half;
    memcpy(&half, map + HALF * index, HALF);
    return half == NEGATIVE_ZERO ? 0 : half;
}

static inline float single_of(uint16_t half)
{
    uint32_t bits = (uint32_t)half << FRACTION_SHIFT;
    float single;
    memcpy(&single, &bits, sizeof single);
    return single;
}

/* A bit pattern whose sign is set if the value is not finite or is negative. Branches would cost vectors. */
static inline uint16_t invalid(uint16_t half)
{
    return half | (uint16_t)(half + (SIGN - INFINITE));
}

FOR_EACH_CPU static uint16_t
add_four(float *restrict total, const char *restrict a, const char *restrict b, const char *restrict c,
         const char *restrict d, size_t size)
{
    uint16_t seen = 0;
    for (size_t i = 0; i < size; i++) {
        uint16_t first = half_at(a, i), second = half_at(b, i), third = half_at(c, i), fourth = half_at(d, i);
        seen |= invalid(first) | invalid(second) | invalid(third) | invalid(fourth);
        total[i] = total[i] + single_of(first) + single_of(second) + single_of(third) + single_of(fourth);
    }
    return seen;
}

FOR_EACH_CPU static uint16_t add_one(float *restrict total, const char *restrict map, size_t size)
{
    uint16_t seen = 0;
    for (size_t i = 0; i < size; i++) {
        uint16_t half = half_at(map, i);
        seen |= invalid(half);
        total[i] += single_of(half);
    }
    return seen;
}

/* Add the maps that start at these values; tell whether all of them were finite and not negative. Four are added in
   one pass over the total, because that costs as much as a pass over a map. */
static int add_all(Py_buffer *total, Py_buffer *halves, Py_buffer *starts)
{
    size_t size = total->len / sizeof(float), maps = starts->len / sizeof(int64_t);
    const int64_t *start = starts->buf;
    const char *values = halves->buf;
    uint16_t seen = 0;
    size_t map = 0;
    for (; map + 4 <= maps; map += 4)
        seen |= add_four(total->buf, values + HALF * start[map], values + HALF * start[map + 1],
                         values + HALF * start[map + 2], values + HALF * start[map + 3], size);
    for (; map < maps; map++)
        seen |= add_one(total->buf, values + HALF * start[map], size);
    return !(seen & SIGN);
}

static int all_within(Py_buffer *total, Py_buffer *halves, Py_buffer *starts)
{
    int64_t last = (int64_t)(halves->len / HALF) - (int64_t)(total->len / sizeof(float));
    const int64_t *start = starts->buf;
    for (size_t map = 0; map < starts->len / sizeof(int64_t); map++)
        if (start[map] < 0 || start[map] > last)
            return 0;
    return 1;
}

static PyObject *add(PyObject *module, PyObject *arguments)
{
    (void)module;
    Py_buffer total, halves, starts;
    if (!PyArg_ParseTuple(arguments, "w*y*y*", &total, &halves, &starts))
        return NULL;
    PyObject *result = NULL;
    if (all_within(&total, &halves, &starts)) {
        int valid;
        Py_BEGIN_ALLOW_THREADS
        valid = add_all(&total, &halves, &starts);
        Py_END_ALLOW_THREADS
        result = PyBool_FromLong(valid);
    } else {
        PyErr_SetString(PyExc_IndexError, "found a map that lies outside of the values; expected all within");
    }
    PyBuffer_Release(&total);
    PyBuffer_Release(&halves);
    PyBuffer_Release(&starts);
    return result;
}

static PyMethodDef functions[] = {
    {"add", add, METH_VARARGS, "Add maps of halves to a total; tell whether all values were finite and not negative."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "attnwatch._halves", .m_methods = functions};

PyMODINIT_FUNC PyInit__halves(void)
{
    return PyModuleDef_Init(&module);
}
