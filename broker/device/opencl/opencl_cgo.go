// Package opencl lists the Devices of every OpenCL platform on the host. Listing loads the vendors' drivers into the
// process; only sluice-worker links this package.
package opencl

/*
#cgo LDFLAGS: -l:libOpenCL.so.1
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
*/
import "C"

import (
	"fmt"
	"strings"
	"unsafe"

	"sluice/broker/device"
)

// Limits on what a driver may report.
const (
	platformsMax   = 64
	devicesMax     = 256 // of one platform
	infoStringsMax = 64 << 10
)

// ownPlatformPrefix starts the name of the platform that Sluice's own shim shows. Listing it would ask the daemon that
// started us.
const ownPlatformPrefix = "Sluice"

// platformNotFound is CL_PLATFORM_NOT_FOUND_KHR of cl_khr_icd: the loader found no driver.
const platformNotFound = -1001

// Devices lists every device of every platform but Sluice's own. A platform or device that fails is skipped, and a note
// says why; an error means that the loader itself failed.
func Devices() (devices []device.Device, notes []string, err error) {
	var ids [platformsMax]C.cl_platform_id
	var count C.cl_uint
	status := C.clGetPlatformIDs(platformsMax, &ids[0], &count)
	if status == platformNotFound || (status == C.CL_SUCCESS && count == 0) {
		return nil, []string{"no OpenCL platform: no vendor file in /etc/OpenCL/vendors names a driver that loads"}, nil
	}
	if status != C.CL_SUCCESS {
		return nil, nil, fmt.Errorf("listing OpenCL platforms: clGetPlatformIDs returned %d", status)
	}
	for i, id := range ids[:min(count, platformsMax)] {
		found, platformNotes := platformDevices(i, id)
		devices = append(devices, found...)
		notes = append(notes, platformNotes...)
	}
	return devices, notes, nil
}

func platformDevices(platformIndex int, platform C.cl_platform_id) (devices []device.Device, notes []string) {
	name, err := platformString(platform, C.CL_PLATFORM_NAME)
	if err != nil {
		return nil, []string{fmt.Sprintf("platform %d: %v", platformIndex, err)}
	}
	if strings.HasPrefix(name, ownPlatformPrefix) {
		return nil, []string{fmt.Sprintf("platform %d (%s): is Sluice's own, not a driver", platformIndex, name)}
	}
	var ids [devicesMax]C.cl_device_id
	var count C.cl_uint
	if status := C.clGetDeviceIDs(platform, C.CL_DEVICE_TYPE_ALL, devicesMax, &ids[0], &count); status != C.CL_SUCCESS {
		return nil, []string{fmt.Sprintf("platform %d (%s): clGetDeviceIDs returned %d", platformIndex, name, status)}
	}
	for i, id := range ids[:min(count, devicesMax)] {
		d, err := describe(id)
		d.ID = fmt.Sprintf("opencl-%d-%d", platformIndex, i)
		d.API = device.APIOpenCL
		d.Platform = name
		d.PlatformIndex, d.DeviceIndex = platformIndex, i
		if err == nil {
			err = d.Validate()
		}
		if err != nil {
			notes = append(notes, fmt.Sprintf("platform %d (%s), device %d: %v", platformIndex, name, i, err))
			continue
		}
		devices = append(devices, d)
	}
	return devices, notes
}

// describe asks for what OpenCL 1.2, section 4.2, table 4.3 defines.
func describe(id C.cl_device_id) (device.Device, error) {
	var d device.Device
	var err error
	for _, field := range []struct {
		info C.cl_device_info
		into *string
	}{
		{C.CL_DEVICE_NAME, &d.Name},
		{C.CL_DEVICE_VENDOR, &d.Vendor},
		{C.CL_DRIVER_VERSION, &d.DriverVersion},
	} {
		if *field.into, err = deviceString(id, field.info); err != nil {
			return d, err
		}
	}
	var memoryBytes, maxAllocBytes C.cl_ulong
	var computeUnits C.cl_uint
	var kind C.cl_device_type
	for _, field := range []struct {
		info C.cl_device_info
		into unsafe.Pointer
		size uintptr
	}{
		{C.CL_DEVICE_GLOBAL_MEM_SIZE, unsafe.Pointer(&memoryBytes), unsafe.Sizeof(memoryBytes)},
		{C.CL_DEVICE_MAX_MEM_ALLOC_SIZE, unsafe.Pointer(&maxAllocBytes), unsafe.Sizeof(maxAllocBytes)},
		{C.CL_DEVICE_MAX_COMPUTE_UNITS, unsafe.Pointer(&computeUnits), unsafe.Sizeof(computeUnits)},
		{C.CL_DEVICE_TYPE, unsafe.Pointer(&kind), unsafe.Sizeof(kind)},
	} {
		if status := C.clGetDeviceInfo(id, field.info, C.size_t(field.size), field.into, nil); status != C.CL_SUCCESS {
			return d, fmt.Errorf("clGetDeviceInfo(0x%x) returned %d", uint32(field.info), status)
		}
	}
	d.MemoryBytes, d.MaxAllocBytes, d.ComputeUnits = uint64(memoryBytes), uint64(maxAllocBytes), int(computeUnits)
	switch {
	case kind&C.CL_DEVICE_TYPE_GPU != 0:
		d.Kind = device.KindGPU
	case kind&C.CL_DEVICE_TYPE_ACCELERATOR != 0:
		d.Kind = device.KindAccelerator
	case kind&C.CL_DEVICE_TYPE_CPU != 0:
		d.Kind = device.KindCPU
	default:
		d.Kind = device.KindCustom
	}
	place(id, &d)
	return d, nil
}

func platformString(id C.cl_platform_id, info C.cl_platform_info) (string, error) {
	return infoString(uint32(info), func(size C.size_t, into unsafe.Pointer, needed *C.size_t) C.cl_int {
		return C.clGetPlatformInfo(id, info, size, into, needed)
	})
}

func deviceString(id C.cl_device_id, info C.cl_device_info) (string, error) {
	return infoString(uint32(info), func(size C.size_t, into unsafe.Pointer, needed *C.size_t) C.cl_int {
		return C.clGetDeviceInfo(id, info, size, into, needed)
	})
}

// infoString asks for the size, then for the text.
func infoString(info uint32, query func(size C.size_t, into unsafe.Pointer, needed *C.size_t) C.cl_int) (string, error) {
	var needed C.size_t
	if status := query(0, nil, &needed); status != C.CL_SUCCESS {
		return "", fmt.Errorf("info 0x%x returned %d", info, status)
	}
	if needed > infoStringsMax {
		return "", fmt.Errorf("info 0x%x has %d bytes, at most %d", info, needed, infoStringsMax)
	}
	if needed == 0 {
		return "", nil
	}
	text := make([]byte, needed)
	if status := query(needed, unsafe.Pointer(&text[0]), nil); status != C.CL_SUCCESS {
		return "", fmt.Errorf("info 0x%x returned %d", info, status)
	}
	return strings.TrimSpace(strings.TrimRight(string(text), "\x00")), nil
}
