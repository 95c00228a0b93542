package dispatch

// #include "driver.h"
import "C"

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"sluice/vdev/wire"
)

// leased is a device of a Lease.
type leased struct {
	driver C.cl_device_id
	limit  uint64
	left   *atomic.Int64 // bytes of limit
	facts  []byte
}

// deviceSet has a bit for each device of a Lease.
type deviceSet uint8

var _ = [1]struct{}{}[wire.DevicesMax-8]

func (d deviceSet) has(i int) bool { return d&(1<<i) != 0 }

// credit is the bytes that a Session may allocate of each device.
type credit [wire.DevicesMax]uint64

// covers says whether size bytes of each of the devices are there.
func (c *credit) covers(devices deviceSet, size uint64) bool {
	for i := range c {
		if devices.has(i) && size > c[i] {
			return false
		}
	}
	return true
}

func (c *credit) spend(devices deviceSet, size uint64) {
	for i := range c {
		if devices.has(i) {
			c[i] -= size
		}
	}
}

func (l Limits) memoryBytes() (sum uint64) {
	for _, d := range l.Devices {
		sum += d.MemoryBytes
	}
	return sum
}

// findDevices asks the driver for the devices that the limits name.
func (l *Lease) findDevices() error {
	if n := len(l.limits.Devices); n == 0 || n > wire.DevicesMax {
		return fmt.Errorf("%w: a lease of %d devices, 1 to %d can be", ErrDevice, n, wire.DevicesMax)
	}
	found := make([]C.cl_device_id, 64)
	var count C.cl_uint
	if status := C.clGetDeviceIDs(l.platform, C.CL_DEVICE_TYPE_ALL, C.cl_uint(len(found)), &found[0], &count); status != C.CL_SUCCESS {
		return fmt.Errorf("listing devices: %w: OpenCL status %d", ErrDevice, status)
	}
	l.svm = !l.limits.Steady
	for _, d := range l.limits.Devices {
		if d.Index < 0 || d.Index >= min(int(count), len(found)) {
			return fmt.Errorf("%w: device %d of %d", ErrDevice, d.Index, count)
		}
		if l.setOf(unsafe.Pointer(found[d.Index])) != 0 {
			return fmt.Errorf("%w: device %d twice", ErrDevice, d.Index)
		}
		one := leased{driver: found[d.Index], limit: d.MemoryBytes, left: new(atomic.Int64)}
		one.left.Store(int64(d.MemoryBytes))
		l.devices = append(l.devices, one)
		l.svm = l.svm && sharesAddresses(l.platform, one.driver)
	}
	return nil
}

// setOf is the set of the device alone, empty where the Lease has no such device.
func (l *Lease) setOf(device unsafe.Pointer) deviceSet {
	for i := range l.devices {
		if unsafe.Pointer(l.devices[i].driver) == device {
			return 1 << i
		}
	}
	return 0
}

// take reserves bytes of the device's memory.
func (d *leased) take(bytes uint64) bool {
	for {
		left := d.left.Load()
		if left < 0 || bytes > uint64(left) {
			return false
		}
		if d.left.CompareAndSwap(left, left-int64(bytes)) {
			return true
		}
	}
}

// take reserves bytes of each device of the set, or none.
func (l *Lease) take(devices deviceSet, bytes uint64) bool {
	for i := range l.devices {
		if devices.has(i) && !l.devices[i].take(bytes) {
			l.give(devices&(1<<i-1), bytes)
			return false
		}
	}
	return true
}

func (l *Lease) give(devices deviceSet, bytes uint64) {
	for i := range l.devices {
		if devices.has(i) {
			l.devices[i].left.Add(int64(bytes))
		}
	}
}

// giveBack ends a Session's credit.
func (l *Lease) giveBack(c credit) {
	for i := range l.devices {
		l.give(1<<i, c[i])
	}
}

// creditAhead takes what a Session may allocate of each device before it asks, 0
// where there is not enough.
func (l *Lease) creditAhead(devices deviceSet) uint64 {
	ahead := uint64(16 << 20)
	for _, d := range l.devices {
		ahead = min(ahead, d.limit/16)
	}
	if !l.take(devices, ahead) {
		return 0
	}
	return ahead
}

// all is the set of the Lease's devices.
func (l *Lease) all() deviceSet { return deviceSet(1<<len(l.devices) - 1) }

func (l *Lease) memoryUsed() (used uint64) {
	for _, d := range l.devices {
		used += d.limit - uint64(d.left.Load())
	}
	return used
}
