package dispatch

// #include "driver.h"
import "C"

import (
	"bytes"
	"unsafe"
)

// triedImages are of each shape that has rows or slices of its own, with elements of triedElement bytes.
var triedImages = []struct {
	description    C.cl_image_desc
	origin, region [3]C.size_t // of the last element; of the whole image
	slicePitch     C.size_t    // 0 where there are no slices
}{
	{C.cl_image_desc{image_type: C.CL_MEM_OBJECT_IMAGE1D, image_width: 6}, [3]C.size_t{5, 0, 0}, [3]C.size_t{6, 1, 1}, 0},
	{C.cl_image_desc{image_type: C.CL_MEM_OBJECT_IMAGE2D, image_width: 6, image_height: 3}, [3]C.size_t{5, 2, 0}, [3]C.size_t{6, 3, 1}, 0},
	{C.cl_image_desc{image_type: C.CL_MEM_OBJECT_IMAGE3D, image_width: 6, image_height: 3, image_depth: 2}, [3]C.size_t{5, 2, 1}, [3]C.size_t{6, 3, 2}, 18},
	{C.cl_image_desc{image_type: C.CL_MEM_OBJECT_IMAGE1D_ARRAY, image_width: 6, image_array_size: 3}, [3]C.size_t{5, 2, 0}, [3]C.size_t{6, 3, 1}, 6},
	{C.cl_image_desc{image_type: C.CL_MEM_OBJECT_IMAGE2D_ARRAY, image_width: 6, image_height: 3, image_array_size: 2}, [3]C.size_t{5, 2, 1}, [3]C.size_t{6, 3, 2}, 18},
}

const triedElement = 4

// imagesInPlace finds out whether the device works on the bytes behind an image's host pointer themselves, and has them
// there without gaps.
func imagesInPlace(device C.cl_device_id) bool {
	return onDevice(device, func(context C.cl_context, queue C.cl_command_queue, memory []byte) bool {
		for i := range triedImages {
			if !imageInPlace(context, queue, i, memory) {
				return false
			}
		}
		return true
	})
}

// imageInPlace has the host write an image's bytes twice, and looks whether the device reads them, and maps them where they
// are.
func imageInPlace(context C.cl_context, queue C.cl_command_queue, index int, memory []byte) bool {
	tried := triedImages[index]
	size := int(tried.region[0]*tried.region[1]*tried.region[2]) * triedElement
	from, to := memory[:size], make([]byte, size)
	var status C.cl_int
	format := C.cl_image_format{image_channel_order: C.CL_RGBA, image_channel_data_type: C.CL_UNSIGNED_INT8}
	image := C.clCreateImage(context, C.CL_MEM_USE_HOST_PTR, &format, &tried.description, unsafe.Pointer(&from[0]), &status)
	if status != C.CL_SUCCESS {
		return false
	}
	defer C.clReleaseMemObject(image)
	var origin [3]C.size_t
	for _, pattern := range []byte{0x5a, 0xa5} {
		for i := range from {
			from[i] = pattern ^ byte(i)
		}
		status = C.clEnqueueReadImage(queue, image, C.CL_TRUE, &origin[0], &tried.region[0], 0, 0, unsafe.Pointer(&to[0]), 0, nil, nil)
		if status != C.CL_SUCCESS || !bytes.Equal(from, to) {
			return false
		}
	}
	one := [3]C.size_t{1, 1, 1}
	var row, slice C.size_t
	mapped := C.clEnqueueMapImage(queue, image, C.CL_TRUE, C.CL_MAP_READ, &tried.origin[0], &one[0], &row, &slice, 0, nil, nil, &status)
	if status != C.CL_SUCCESS {
		return false
	}
	there := mapped == unsafe.Pointer(&from[size-triedElement])
	pitched := row == tried.region[0]*triedElement && (tried.slicePitch == 0 || slice == tried.slicePitch*triedElement)
	status = C.clEnqueueUnmapMemObject(queue, image, mapped, 0, nil, nil)
	return there && pitched && status == C.CL_SUCCESS && C.clFinish(queue) == C.CL_SUCCESS
}
