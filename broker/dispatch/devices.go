package dispatch

// #include "driver.h"
import "C"

import (
	"encoding/binary"
	"math/bits"
	"unsafe"

	"sluice/vdev/wire"
)

// partitionMax bounds the properties of a partition.
const partitionMax = 4096

// describe answers with the facts of a device or a sub-device.
func (t *thread) describe(a argsDescribe) C.cl_int {
	l := t.session.lease
	whole := &l.devices[bits.TrailingZeros8(uint8(a.device.devices))]
	if device := driverDevice(a.device.driver); device != whole.driver {
		t.reply = l.appendDeviceFacts(t.reply, device, whole.limit)
	} else {
		t.reply = append(t.reply, whole.facts...)
	}
	return C.CL_SUCCESS
}

// clCreateSubDevices makes as many sub-devices as the partition has, or answers
// with their number where the shim names none.
func (t *thread) clCreateSubDevices(a argsClCreateSubDevices) C.cl_int {
	words := len(a.properties) / 8
	if words > partitionMax || len(a.properties)%8 != 0 {
		t.violate("%d bytes of properties of a partition", len(a.properties))
		return C.CL_SUCCESS
	}
	// A list of counts ends with one 0 and the properties with another.
	properties := C.calloc(C.size_t(words)+2, 8)
	defer C.free(properties)
	copy(unsafe.Slice((*byte)(properties), len(a.properties)), a.properties)
	parent, list := driverDevice(a.inDevice.driver), (*C.cl_device_partition_property)(properties)
	var count C.cl_uint
	status := C.clCreateSubDevices(parent, list, 0, nil, &count)
	if status != C.CL_SUCCESS || len(a.created) == 0 {
		t.reply = binary.LittleEndian.AppendUint32(t.reply, uint32(count))
		return t.keepAll(a.created, a.inDevice.devices, nil, status)
	}
	if int(count) != len(a.created) {
		return t.keepAll(a.created, a.inDevice.devices, nil, C.CL_INVALID_VALUE)
	}
	made := C.calloc(C.size_t(count), C.size_t(unsafe.Sizeof(parent)))
	defer C.free(made)
	status = C.clCreateSubDevices(parent, list, count, (*C.cl_device_id)(made), nil)
	return t.keepAll(a.created, a.inDevice.devices, unsafe.Slice((*unsafe.Pointer)(made), int(count)), status)
}

// keepAll keeps what a create of several sub-devices made.
func (t *thread) keepAll(created []*object, devices deviceSet, drivers []unsafe.Pointer, status C.cl_int) C.cl_int {
	for i, o := range created {
		o.devices = devices
		if status != C.CL_SUCCESS {
			t.keep(o, nil, status)
		} else {
			t.keep(o, drivers[i], status)
		}
	}
	return status
}

// deviceList answers with the handles of the devices of the driver's query get.
// A device that the program has no name for any more counts as the first.
func (t *thread) deviceList(get func(size C.size_t, value unsafe.Pointer, sizeRet *C.size_t) C.cl_int) C.cl_int {
	var size C.size_t
	if status := get(0, nil, &size); status != C.CL_SUCCESS {
		return status
	}
	if size == 0 || size > answerMax {
		return C.CL_OUT_OF_RESOURCES
	}
	list := C.calloc(1, size)
	defer C.free(list)
	if status := get(size, list, nil); status != C.CL_SUCCESS {
		return status
	}
	for _, device := range unsafe.Slice((*unsafe.Pointer)(list), int(size)/int(unsafe.Sizeof(list))) {
		t.reply = binary.LittleEndian.AppendUint32(t.reply, t.session.deviceHandle(device))
	}
	return C.CL_SUCCESS
}

// deviceHandle is the handle of the driver's device.
func (s *Session) deviceHandle(device unsafe.Pointer) uint32 {
	if whole := s.lease.setOf(device); whole != 0 {
		return wire.DeviceHandle + uint32(bits.TrailingZeros8(uint8(whole)))
	}
	for c, chunk := range s.objects.chunks {
		for i := range chunk {
			if o := &chunk[i]; o.kind == kindDevice && o.driver == device && o.failed == C.CL_SUCCESS {
				return uint32(c*chunkObjects + i)
			}
		}
	}
	return wire.DeviceHandle
}
