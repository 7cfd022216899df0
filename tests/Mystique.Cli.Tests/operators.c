/* A library of one operator, against libtorch's C interface (torch/csrc/inductor/aoti_torch/c/shim.h). */
#include <stdint.h>

typedef void *Library;
typedef void *Tensor;

int32_t aoti_torch_library_init_def(const char *name, const char *file, uint32_t line, Library *library);
int32_t aoti_torch_library_init_impl(const char *name, const char *key, const char *file, uint32_t line, Library *library);
int32_t aoti_torch_library_def(Library library, const char *schema);
int32_t aoti_torch_library_impl(Library library, const char *name, void (*kernel)(uint64_t *, uint64_t, uint64_t));
int32_t aoti_torch_clone(Tensor tensor, Tensor *copy);
int32_t aoti_torch_delete_tensor_object(Tensor tensor);

static void copy_kernel(uint64_t *stack, uint64_t arguments, uint64_t results)
{
    Tensor copy;
    Tensor input = (Tensor)stack[0];
    (void)arguments;
    (void)results;
    aoti_torch_clone(input, &copy);
    aoti_torch_delete_tensor_object(input);
    stack[0] = (uint64_t)copy;
}

__attribute__((constructor)) static void register_operators(void)
{
    Library library;
    aoti_torch_library_init_def("mystique_test", __FILE__, __LINE__, &library);
    aoti_torch_library_def(library, "copy(Tensor self) -> Tensor");
    aoti_torch_library_init_impl("mystique_test", "CompositeExplicitAutograd", __FILE__, __LINE__, &library);
    aoti_torch_library_impl(library, "copy", copy_kernel);
}
