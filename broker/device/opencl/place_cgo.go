package opencl

/*
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <CL/cl_ext.h>

// Of cl_nv_device_attribute_query; older headers lack them.
enum {
	pci_bus_id_nv = 0x4008,
	pci_slot_id_nv = 0x4009,
	pci_domain_id_nv = 0x400A,
};
*/
import "C"

import (
	"fmt"
	"unsafe"

	"sluice/broker/device"
)

// place asks for where a device is and who it is, of the extensions cl_khr_device_uuid, cl_khr_pci_bus_info and
// cl_nv_device_attribute_query. A driver without them refuses, and the fields stay empty. Only a GPU's are asked for: a CPU
// is on no bus.
func place(id C.cl_device_id, d *device.Device) {
	if d.Kind != device.KindGPU {
		return
	}
	var uuid [C.CL_UUID_SIZE_KHR]byte
	if ask(id, C.CL_DEVICE_UUID_KHR, unsafe.Pointer(&uuid), unsafe.Sizeof(uuid)) && uuid != [len(uuid)]byte{} {
		d.UUID = formatUUID(uuid)
	}
	var khr C.cl_device_pci_bus_info_khr
	if ask(id, C.CL_DEVICE_PCI_BUS_INFO_KHR, unsafe.Pointer(&khr), unsafe.Sizeof(khr)) {
		d.PCIBusID = formatPCI(uint32(khr.pci_domain), uint32(khr.pci_bus), uint32(khr.pci_device), uint32(khr.pci_function))
		return
	}
	var bus, slot, domain C.cl_uint
	if ask(id, C.pci_bus_id_nv, unsafe.Pointer(&bus), unsafe.Sizeof(bus)) &&
		ask(id, C.pci_slot_id_nv, unsafe.Pointer(&slot), unsafe.Sizeof(slot)) {
		ask(id, C.pci_domain_id_nv, unsafe.Pointer(&domain), unsafe.Sizeof(domain)) // 0 where an older driver does not tell
		// The slot holds the device's number above three bits of the function's.
		d.PCIBusID = formatPCI(uint32(domain), uint32(bus), uint32(slot)>>3, uint32(slot)&7)
	}
}

func ask(id C.cl_device_id, info C.cl_device_info, into unsafe.Pointer, size uintptr) bool {
	return C.clGetDeviceInfo(id, info, C.size_t(size), into, nil) == C.CL_SUCCESS
}

func formatPCI(domain, bus, number, function uint32) string {
	return fmt.Sprintf("%04x:%02x:%02x.%x", domain, bus, number, function)
}

// formatUUID writes 16 bytes as RFC 9562 does.
func formatUUID(b [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
