package dispatch

// #include "driver.h"
import "C"

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// channelCounts are of the orders that have more than one channel.
var channelCounts = map[C.cl_uint]uint64{
	C.CL_RG: 2, C.CL_RA: 2, C.CL_RGx: 2, C.CL_RGB: 3, C.CL_RGBx: 3, C.CL_sRGB: 3,
	C.CL_RGBA: 4, C.CL_BGRA: 4, C.CL_ARGB: 4, C.CL_ABGR: 4, C.CL_sRGBA: 4, C.CL_sBGRA: 4, C.CL_sRGBx: 4,
}

// channelBytes are of one channel; a packed type's are of the whole element.
var channelBytes = map[C.cl_uint]uint64{
	C.CL_SNORM_INT8: 1, C.CL_UNORM_INT8: 1, C.CL_SIGNED_INT8: 1, C.CL_UNSIGNED_INT8: 1,
	C.CL_SNORM_INT16: 2, C.CL_UNORM_INT16: 2, C.CL_SIGNED_INT16: 2, C.CL_UNSIGNED_INT16: 2, C.CL_HALF_FLOAT: 2,
	C.CL_SIGNED_INT32: 4, C.CL_UNSIGNED_INT32: 4, C.CL_FLOAT: 4,
}

var packedBytes = map[C.cl_uint]uint64{
	C.CL_UNORM_SHORT_565: 2, C.CL_UNORM_SHORT_555: 2, C.CL_UNORM_INT_101010: 4, C.CL_UNORM_INT_101010_2: 4,
}

// elementBytes is the size of an image's element, 0 for an unknown type: OpenCL
// 3.0, 5.3.1.1.
func elementBytes(order, dataType C.cl_uint) uint64 {
	if packed, ok := packedBytes[dataType]; ok {
		return packed
	}
	return channelBytes[dataType] * max(1, channelCounts[order])
}

// imageBytes is the size of an image without gaps, or false where it is none or
// more than can be.
func imageBytes(a argsClCreateImage) (uint64, bool) {
	size := elementBytes(a.order, a.dataType)
	factors := []C.size_t{a.width}
	switch a.imageType {
	case C.CL_MEM_OBJECT_IMAGE2D:
		factors = append(factors, a.height)
	case C.CL_MEM_OBJECT_IMAGE3D:
		factors = append(factors, a.height, a.depth)
	case C.CL_MEM_OBJECT_IMAGE1D_ARRAY:
		factors = append(factors, a.arraySize)
	case C.CL_MEM_OBJECT_IMAGE2D_ARRAY:
		factors = append(factors, a.height, a.arraySize)
	}
	for _, f := range factors {
		high, low := bits.Mul64(size, uint64(f))
		if high != 0 {
			return 0, false
		}
		size = low
	}
	return size, size > 0
}

func (t *thread) clCreateImage(a argsClCreateImage) C.cl_int {
	s := t.session
	size, ok := imageBytes(a)
	if !ok {
		return t.keep(a.created, nil, C.CL_INVALID_IMAGE_SIZE)
	}
	description := C.cl_image_desc{
		image_type: C.cl_mem_object_type(a.imageType), image_width: a.width, image_height: a.height, image_depth: a.depth,
		image_array_size: a.arraySize, image_row_pitch: a.rowPitch,
	}
	flags := a.flags &^ hostFlags
	if a.from != nil {
		return t.createImageFrom(a, flags, size, description)
	}
	if !s.credit.covers(a.context.devices, size) {
		return t.keep(a.created, nil, C.CL_MEM_OBJECT_ALLOCATION_FAILURE)
	}
	s.reclaim()
	// The place has no gaps: pitches are of the program's memory and of buffers.
	description.image_row_pitch = 0
	place, ok := s.places.take(size)
	if !ok {
		return t.keep(a.created, nil, C.CL_MEM_OBJECT_ALLOCATION_FAILURE)
	}
	status := t.newImage(a, flags|C.CL_MEM_USE_HOST_PTR, &description, unsafe.Pointer(&s.arenaShared.bytes[place.offset]))
	if status != C.CL_SUCCESS {
		s.places.give(place)
		return t.keep(a.created, nil, status)
	}
	b := &buffer{place: place, size: size, devices: a.context.devices, element: elementBytes(a.order, a.dataType), flag: (*C.uint32_t)(C.calloc(1, 4))}
	s.credit.spend(b.devices, size)
	C.driver_watch(driverMem(a.created.driver), b.flag)
	a.created.buffer = b
	return status
}

// createImageFrom makes an image of a buffer's or another image's bytes.
func (t *thread) createImageFrom(a argsClCreateImage, flags C.cl_mem_flags, size uint64, description C.cl_image_desc) C.cl_int {
	C.driver_image_from(&description, driverMem(a.from.driver))
	status := t.newImage(a, flags, &description, nil)
	if status != C.CL_SUCCESS {
		return t.keep(a.created, nil, status)
	}
	from := a.from.buffer
	root := from
	if root.root != nil {
		root = root.root
	}
	a.created.buffer = &buffer{place: from.place, size: min(size, from.size), element: elementBytes(a.order, a.dataType), root: root}
	return status
}

func (t *thread) newImage(a argsClCreateImage, flags C.cl_mem_flags, description *C.cl_image_desc, host unsafe.Pointer) C.cl_int {
	var status C.cl_int
	format := C.cl_image_format{image_channel_order: a.order, image_channel_data_type: a.dataType}
	image := C.clCreateImage(driverContext(a.context.driver), flags, &format, description, host, &status)
	if status != C.CL_SUCCESS {
		return status
	}
	// What the driver reads and writes of a place is counted by its own element.
	var element C.size_t
	status = C.clGetImageInfo(image, C.CL_IMAGE_ELEMENT_SIZE, C.size_t(unsafe.Sizeof(element)), unsafe.Pointer(&element), nil)
	if status != C.CL_SUCCESS || uint64(element) != elementBytes(a.order, a.dataType) {
		C.clReleaseMemObject(image)
		return C.CL_IMAGE_FORMAT_NOT_SUPPORTED
	}
	return t.keep(a.created, unsafe.Pointer(image), status)
}

func (t *thread) clGetSupportedImageFormats(a argsClGetSupportedImageFormats) C.cl_int {
	const formatBytes = int(unsafe.Sizeof(C.cl_image_format{}))
	context := driverContext(a.context.driver)
	var count C.cl_uint
	if status := C.clGetSupportedImageFormats(context, a.flags, a.imageType, 0, nil, &count); status != C.CL_SUCCESS || count == 0 {
		return status
	}
	if int(count) > answerMax/formatBytes {
		return C.CL_OUT_OF_RESOURCES
	}
	t.reply = append(t.reply, make([]byte, int(count)*formatBytes)...)
	return C.clGetSupportedImageFormats(context, a.flags, a.imageType, count, (*C.cl_image_format)(unsafe.Pointer(&t.reply[0])), nil)
}

func (t *thread) clCreateSamplerWithProperties(a argsClCreateSamplerWithProperties) C.cl_int {
	var status C.cl_int
	sampler := C.clCreateSampler(driverContext(a.context.driver), a.normalized, a.addressing, a.filter, &status)
	return t.keep(a.created, unsafe.Pointer(sampler), status)
}

// imageRegionBytes is the size of a region of an image without gaps, or 0.
func imageRegionBytes(image *object, region *C.size_t) C.size_t {
	high, size := bits.Mul64(uint64(regionBytes(region)), image.buffer.element)
	if high != 0 {
		return 0
	}
	return C.size_t(size)
}

func (t *thread) clEnqueueReadImage(a argsClEnqueueReadImage) C.cl_int {
	size := imageRegionBytes(a.image, a.region)
	to := t.target(a.place, a.placeOffset, size)
	if to == nil || t.sizesGiven(a.origin) == nil {
		return C.CL_SUCCESS
	}
	t.session.lease.fromDevice.Add(uint64(size))
	status := C.clEnqueueReadImage(driverQueue(a.commandQueue.driver), driverMem(a.image.driver), C.CL_FALSE, a.origin, a.region, 0, 0, to, a.eventWaitList.count, listEvent(a.eventWaitList), t.ownEventOut())
	return t.transferred(a.commandQueue, a.event, a.blocking, a.ticket, status)
}

func (t *thread) clEnqueueWriteImage(a argsClEnqueueWriteImage) C.cl_int {
	size := imageRegionBytes(a.image, a.region)
	from := t.source(a.place, a.placeOffset, size)
	if from == nil || t.sizesGiven(a.origin) == nil {
		return C.CL_SUCCESS
	}
	t.session.lease.toDevice.Add(uint64(size))
	status := C.clEnqueueWriteImage(driverQueue(a.commandQueue.driver), driverMem(a.image.driver), C.CL_FALSE, a.origin, a.region, 0, 0, from, a.eventWaitList.count, listEvent(a.eventWaitList), t.ownEventOut())
	return t.transferred(a.commandQueue, a.event, a.blocking, a.ticket, status)
}

// clEnqueueMapImage answers with the offset of the region in the image's bytes
// and the driver's pitches.
func (t *thread) clEnqueueMapImage(a argsClEnqueueMapImage) C.cl_int {
	if t.sizesGiven(a.origin) == nil || t.sizesGiven(a.region) == nil {
		return C.CL_SUCCESS
	}
	s, b := t.session, a.image.buffer
	s.expose(b)
	var status C.cl_int
	var row, slice C.size_t
	queue, image := driverQueue(a.commandQueue.driver), driverMem(a.image.driver)
	mapped := C.clEnqueueMapImage(queue, image, C.CL_FALSE, a.mapFlags, a.origin, a.region, &row, &slice, a.eventWaitList.count, listEvent(a.eventWaitList), t.ownEventOut(), &status)
	if status == C.CL_SUCCESS {
		offset := uintptr(mapped) - uintptr(unsafe.Pointer(&s.arenaShared.bytes[b.place.offset]))
		t.noteMap(queue, image, mapped, a.mapFlags, arenaRegion(b, C.size_t(offset), C.size_t(b.size-uint64(offset))))
		t.reply = binary.LittleEndian.AppendUint64(t.reply, uint64(offset))
		t.reply = binary.LittleEndian.AppendUint64(t.reply, uint64(row))
		t.reply = binary.LittleEndian.AppendUint64(t.reply, uint64(slice))
	}
	return t.transferred(a.commandQueue, a.event, a.blocking, 0, status)
}
