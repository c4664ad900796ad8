/* attnwatch.tensors._loops: the inner loops, compiled. Optional: without this module, attnwatch.tensors.loops computes
   the same bits with numpy in several times the time. */

#define PY_SSIZE_T_CLEAN
#ifndef Py_GIL_DISABLED
#define Py_LIMITED_API 0x030B0000
#endif
#include <Python.h>
#include <stdint.h>
#include <string.h>

#define TABLE 256
#define OPAQUE 256 /* weights have 8 fractional bits */

#define HALF sizeof(uint16_t)
#define NEGATIVE_ZERO 0x8000
#define INFINITE 0x7C00 /* above it: NaN, then everything negative */
#define FRACTION_SHIFT 13
#define SIGN 0x8000

#if defined(__x86_64__) && defined(__GLIBC__)
#define FOR_EACH_CPU __attribute__((target_clones("avx2", "default")))
#else
#define FOR_EACH_CPU
#endif

/* Values in a file may start at odd addresses. */
static inline uint16_t half_at(const char *map, size_t index)
{
    uint16_t half;
    memcpy(&half, map + HALF * index, HALF);
    return half == NEGATIVE_ZERO ? 0 : half;
}

/* A half shifted so that its fraction aligns with a single's is a single whose exponent is too small by the difference
   of the biases. This also holds for subnormal halves. */
static inline float single_of(uint16_t half)
{
    uint32_t bits = (uint32_t)half << FRACTION_SHIFT;
    float single;
    memcpy(&single, &bits, sizeof single);
    return single;
}

/* A bit pattern whose sign is set if the value is negative or not finite. Branches would prevent vectorization. */
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

/* Add the maps that start at the given values; return whether all their values are finite and not negative. Each pass
   over the total adds four maps, because it costs as much as a pass over a map. */
static int add_all(Py_buffer *total, Py_buffer *halves, Py_buffer *starts)
{
    size_t size = (size_t)total->len / sizeof(float), maps = (size_t)starts->len / sizeof(int64_t);
    const int64_t *start = starts->buf;
    const char *values = halves->buf;
    uint16_t seen = 0;
    size_t map = 0;
    for (; map + 4 <= maps; map += 4)
        seen |= add_four(total->buf, values + HALF * (size_t)start[map], values + HALF * (size_t)start[map + 1],
                         values + HALF * (size_t)start[map + 2], values + HALF * (size_t)start[map + 3], size);
    for (; map < maps; map++)
        seen |= add_one(total->buf, values + HALF * (size_t)start[map], size);
    return !(seen & SIGN);
}

static int all_within(Py_buffer *total, Py_buffer *halves, Py_buffer *starts)
{
    int64_t last = (int64_t)((size_t)halves->len / HALF) - (int64_t)((size_t)total->len / sizeof(float));
    const int64_t *start = starts->buf;
    for (size_t map = 0; map < (size_t)starts->len / sizeof(int64_t); map++)
        if (start[map] < 0 || start[map] > last)
            return 0;
    return 1;
}

/* Get the buffer of a flat array whose elements have one of the given type characters and the given size. */
static int take_values(PyObject *object, Py_buffer *values, int flags, const char *types, size_t size)
{
    if (PyObject_GetBuffer(object, values, PyBUF_ND | PyBUF_FORMAT | flags) < 0)
        return 0;
    size_t length = values->format ? strlen(values->format) : 0;
    if (values->ndim == 1 && (size_t)values->itemsize == size && length && strchr(types, values->format[length - 1]))
        return 1;
    PyBuffer_Release(values);
    PyErr_SetString(PyExc_ValueError, "found an array of another kind; expected flat float32, uint16 and int64");
    return 0;
}

static PyObject *add_if_within(Py_buffer *total, Py_buffer *halves, Py_buffer *starts)
{
    if ((uintptr_t)total->buf % sizeof(float) || (uintptr_t)starts->buf % sizeof(int64_t)) {
        PyErr_SetString(PyExc_ValueError, "found an unaligned array; expected an aligned total and aligned starts");
        return NULL;
    }
    if (!all_within(total, halves, starts)) {
        PyErr_SetString(PyExc_IndexError, "found a map that extends beyond the values; expected all maps within them");
        return NULL;
    }
    int valid;
    Py_BEGIN_ALLOW_THREADS
    valid = add_all(total, halves, starts);
    Py_END_ALLOW_THREADS
    return PyBool_FromLong(valid);
}

static PyObject *add_halves(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *total_object, *halves_object, *starts_object, *result = NULL;
    Py_buffer total, halves, starts;
    if (!PyArg_ParseTuple(arguments, "OOO", &total_object, &halves_object, &starts_object))
        return NULL;
    if (!take_values(total_object, &total, PyBUF_WRITABLE, "f", sizeof(float)))
        return NULL;
    if (take_values(halves_object, &halves, 0, "H", HALF)) {
        if (take_values(starts_object, &starts, 0, "lq", sizeof(int64_t))) {
            result = add_if_within(&total, &halves, &starts);
            PyBuffer_Release(&starts);
        }
        PyBuffer_Release(&halves);
    }
    PyBuffer_Release(&total);
    return result;
}

/* What each grey level keeps of the picture below, and what it adds to it, both as multiples of 1 / OPAQUE. */
struct tints {
    uint16_t kept[TABLE], added[TABLE];
};

static void tint_row(uint8_t *restrict target, const uint8_t *restrict below, const uint8_t *restrict grey,
                     const struct tints *tints, Py_ssize_t width)
{
    for (Py_ssize_t x = 0; x < width; x++)
        target[x] = (uint8_t)((uint16_t)(below[x] * tints->kept[grey[x]] + tints->added[grey[x]]) / OPAQUE);
}

static void colour_row(uint8_t *restrict target, const uint8_t *restrict grey, const uint8_t *restrict table,
                       Py_ssize_t width)
{
    for (Py_ssize_t x = 0; x < width; x++)
        target[x] = table[grey[x]];
}

/* Get the bytes of a picture, [height, width]; the bytes of each row must be contiguous, the rows need not be. */
static int take_picture(PyObject *object, Py_buffer *picture, int flags)
{
    if (PyObject_GetBuffer(object, picture, PyBUF_STRIDES | flags) < 0)
        return 0;
    if (picture->ndim == 2 && picture->itemsize == 1 && (picture->shape[1] < 2 || picture->strides[1] == 1))
        return 1;
    PyBuffer_Release(picture);
    PyErr_SetString(PyExc_ValueError, "found another buffer; expected bytes, [height, width], with contiguous rows");
    return 0;
}

static int same_shape(const Py_buffer *one, const Py_buffer *other)
{
    if (one->shape[0] == other->shape[0] && one->shape[1] == other->shape[1])
        return 1;
    PyErr_SetString(PyExc_ValueError, "found pictures of different sizes; expected equal sizes");
    return 0;
}

static uint8_t *row(const Py_buffer *picture, Py_ssize_t y)
{
    return (uint8_t *)picture->buf + y * picture->strides[0];
}

static PyObject *colour(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *target_object, *grey_object, *result = NULL;
    const char *table;
    Py_ssize_t length;
    Py_buffer target, grey;
    if (!PyArg_ParseTuple(arguments, "OOy#", &target_object, &grey_object, &table, &length))
        return NULL;
    if (length != TABLE)
        return PyErr_Format(PyExc_ValueError, "found a table of %zd bytes; expected %d", length, TABLE);
    if (!take_picture(target_object, &target, PyBUF_WRITABLE))
        return NULL;
    if (take_picture(grey_object, &grey, 0)) {
        if (same_shape(&target, &grey)) {
            Py_BEGIN_ALLOW_THREADS
            for (Py_ssize_t y = 0; y < target.shape[0]; y++)
                colour_row(row(&target, y), row(&grey, y), (const uint8_t *)table, target.shape[1]);
            Py_END_ALLOW_THREADS
            result = Py_NewRef(Py_None);
        }
        PyBuffer_Release(&grey);
    }
    PyBuffer_Release(&target);
    return result;
}

/* Fill the tints of all levels; return whether no weight is above OPAQUE. */
static int fill(struct tints *tints, const uint8_t *table, const char *weights)
{
    for (size_t level = 0; level < TABLE; level++) {
        uint16_t weight;
        memcpy(&weight, weights + sizeof weight * level, sizeof weight);
        if (weight > OPAQUE)
            return 0;
        tints->kept[level] = (uint16_t)(OPAQUE - weight);
        tints->added[level] = (uint16_t)(table[level] * weight + OPAQUE / 2);
    }
    return 1;
}

static PyObject *tint_all(const Py_buffer *target, const Py_buffer *below, const Py_buffer *grey,
                          const struct tints *tints)
{
    if (!same_shape(target, below) || !same_shape(target, grey))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t y = 0; y < target->shape[0]; y++)
        tint_row(row(target, y), row(below, y), row(grey, y), tints, target->shape[1]);
    Py_END_ALLOW_THREADS
    return Py_NewRef(Py_None);
}

static PyObject *tint(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *target_object, *below_object, *grey_object, *result = NULL;
    const char *table, *weights;
    Py_ssize_t length, size;
    struct tints tints;
    Py_buffer target, below, grey;
    if (!PyArg_ParseTuple(arguments, "OOOy#y#", &target_object, &below_object, &grey_object, &table, &length, &weights,
                          &size))
        return NULL;
    if (length != TABLE || size != TABLE * (Py_ssize_t)sizeof(uint16_t))
        return PyErr_Format(PyExc_ValueError, "found tables of %zd and %zd bytes; expected %d and %d", length, size,
                            TABLE, TABLE * (int)sizeof(uint16_t));
    if (!fill(&tints, (const uint8_t *)table, weights))
        return PyErr_Format(PyExc_ValueError, "found a weight above %d; expected 0 to %d", OPAQUE, OPAQUE);
    if (!take_picture(target_object, &target, PyBUF_WRITABLE))
        return NULL;
    if (take_picture(below_object, &below, 0)) {
        if (take_picture(grey_object, &grey, 0)) {
            result = tint_all(&target, &below, &grey, &tints);
            PyBuffer_Release(&grey);
        }
        PyBuffer_Release(&below);
    }
    PyBuffer_Release(&target);
    return result;
}

static PyMethodDef functions[] = {
    {"add_halves", add_halves, METH_VARARGS, NULL},
    {"colour", colour, METH_VARARGS, NULL},
    {"tint", tint, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "attnwatch.tensors._loops", .m_methods = functions};

PyMODINIT_FUNC PyInit__loops(void)
{
    return PyModuleDef_Init(&module);
}
