package dispatch_test

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/broker/dispatch"
	"sluice/vdev/wire"
)

const hugeNumber = ^uint64(0)

// equally is a partition of a device into parts of one compute unit.
const equally = "\x86\x10\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00"

// violations are frames that end the session that sends them. Each follows
// furnish.
var violations = []struct {
	name  string
	frame []byte
}{
	{"no call", numbered(999, 0)},
	{"a call that the shim answers", frame("clGetDeviceInfo", 0)},
	{"a call of an extension", frame("clCreateFromGLBuffer", 0)},
	{"no arguments", frame("clFinish", 0)},
	{"half of the arguments", frame("clCreateBuffer", 0, contextHandle, spareHandle)},
	{"an argument too many", frame("clFlush", 0, queueHandle, 0)},
	{"a slot that is none", frame("clFlush", wire.SlotCount+1, queueHandle)},
	{"a slot far away", frame("clFlush", 0xffff, queueHandle)},

	{"handle 0", frame("clFlush", 0, 0)},
	{"a handle of nothing", frame("clFlush", 0, spareHandle)},
	{"a handle in a chunk that is not there", frame("clFlush", 0, wire.HandleMax-1)},
	{"a handle out of range", frame("clFlush", 0, wire.HandleMax)},
	{"a handle far out of range", frame("clFlush", 0, hugeNumber)},
	{"a handle of the wrong kind", frame("clFlush", 0, bufferHandle)},
	{"a device for a queue", frame("clFlush", 0, wire.DeviceHandle)},
	{"a new handle in use", frame("clCreateContext", 1, 1, wire.DeviceHandle, contextHandle)},
	{"a new handle for the device's", frame("clCreateContext", 1, 1, wire.DeviceHandle, wire.DeviceHandle)},
	{"a new handle under the first", frame("clCreateContext", 1, 1, wire.DeviceHandle, wire.FirstHandle-1)},
	{"a new handle 0", frame("clCreateContext", 1, 1, wire.DeviceHandle, 0)},
	{"a new handle out of range", frame("clCreateContext", 1, 1, wire.DeviceHandle, wire.HandleMax)},
	{"a new handle far out of range", frame("clCreateContext", 1, 1, wire.DeviceHandle, hugeNumber)},
	{"a turn with half an image", frame("turn", 1, queueHandle, bufferHandle, 1, 0, 16, hugeNumber, 3, 1, 1, 1, 0, spareHandle, spareHandle+1, 0)},
	{"a turn with a buffer for an image", frame("turn", 1, queueHandle, bufferHandle, 1, 0, 16, 3, 0, 0, 0, 3, 1, 1, 1, 0, spareHandle, spareHandle+1, 0)},
	{"a turn with a region of nothing", frame("turn", 1, queueHandle, 0, 1, 0, 16, 3, 0, 0, 0, 3, 1, 1, 1, 0, spareHandle, spareHandle+1, 0)},
	{"a turn whose point is its gate", frame("turn", 1, queueHandle, 0, 0, 0, 0, hugeNumber, hugeNumber, 0, spareHandle, spareHandle, 0)},
	{"a context of a queue", frame("clCreateContext", 1, 1, queueHandle, spareHandle)},
	{"a sub-device in use", frame("clCreateSubDevices", 1, wire.DeviceHandle, 1, queueHandle, text(equally))},
	{"more sub-devices than the frame has", frame("clCreateSubDevices", 1, wire.DeviceHandle, 3, spareHandle, text(equally))},
	{"more sub-devices than any", frame("clCreateSubDevices", 1, wire.DeviceHandle, hugeNumber, text(equally))},
	{"half a property of a partition", frame("clCreateSubDevices", 1, wire.DeviceHandle, 0, text(equally[:12]))},
	{"a binary without a device", frame("clCreateProgramWithBinary", 1, contextHandle, spareHandle, 0, text(""), text("binary"))},
	{"a binary without a length", frame("clCreateProgramWithBinary", 1, contextHandle, spareHandle, 1, wire.DeviceHandle, text(""), text("binary"))},
	{"a binary longer than its bytes", frame("clCreateProgramWithBinary", 1, contextHandle, spareHandle, 1, wire.DeviceHandle, text("\x07\x00\x00\x00\x00\x00\x00\x00"), text("binary"))},
	{"a binary far longer than its bytes", frame("clCreateProgramWithBinary", 1, contextHandle, spareHandle, 1, wire.DeviceHandle, text("\xff\xff\xff\xff\xff\xff\xff\xff"), text("binary"))},
	{"a new event in use", frame("clEnqueueMarkerWithWaitList", 0, queueHandle, 0, eventHandle)},
	{"one new handle twice", frame("access", 1, queueHandle, bufferHandle, 1, 0, 16, 0, spareHandle, spareHandle)},

	{"a list longer than the frame", frame("clWaitForEvents", 1, 3, eventHandle)},
	{"a list longer than any", frame("clWaitForEvents", 1, wire.ListMax+1, eventHandle)},
	{"a list whose size wraps", frame("clWaitForEvents", 1, uint64(1)<<61, eventHandle)},
	{"a list that is absent", frame("clWaitForEvents", 1, hugeNumber)},
	{"a list with the wrong kind", frame("clWaitForEvents", 1, 1, queueHandle)},
	{"four sizes", frame("clEnqueueNDRangeKernel", 0, queueHandle, kernelHandle, 3, 4, 1, 1, 1, 1, hugeNumber, hugeNumber, 0, 0)},
	{"sizes without end", frame("clEnqueueNDRangeKernel", 0, queueHandle, kernelHandle, 3, hugeNumber-1, 1, 1, 1, 0, 0)},
	{"sizes longer than the frame", frame("clEnqueueNDRangeKernel", 0, queueHandle, kernelHandle, 3, hugeNumber, hugeNumber, 3, 1)},
	{"bytes longer than the frame", frame("clBuildProgram", 1, programHandle, 0, 64)},
	{"bytes whose padding ends the frame", frame("clBuildProgram", 1, programHandle, 0, wire.InlineMax)},
	{"bytes at no place", frame("clBuildProgram", 1, programHandle, 0, wire.InlineMax+1, 4096)},
	{"bytes at no place far away", frame("clBuildProgram", 1, programHandle, 0, wire.InlineMax+1, hugeNumber)},
	{"more bytes than any", frame("clBuildProgram", 1, programHandle, 0, wire.BytesMax+1, 0)},
	{"bytes without number", frame("clBuildProgram", 1, programHandle, 0, hugeNumber, 0)},

	{"a transfer behind the window", frame("clEnqueueReadBuffer", 1, queueHandle, bufferHandle, 1, 0, 16, wire.PlaceStaging, wire.StagingSize-15, 0, 0, 0)},
	{"a transfer far behind the window", frame("clEnqueueReadBuffer", 1, queueHandle, bufferHandle, 1, 0, 16, wire.PlaceStaging, hugeNumber-7, 0, 0, 0)},
	{"a transfer larger than the window", frame("clEnqueueWriteBuffer", 1, queueHandle, bufferHandle, 1, 0, hugeNumber, wire.PlaceStaging, 0, 0, 0, 0)},
	{"a transfer of nothing", frame("clEnqueueWriteBuffer", 1, queueHandle, bufferHandle, 1, 0, 0, wire.PlaceStaging, 0, 0, 0, 0)},
	{"a transfer in the arena at no place", frame("clEnqueueReadBuffer", 1, queueHandle, bufferHandle, 1, 0, 16, wire.PlaceArena, 0, 0, 0, 0)},
	{"a transfer at no memory object", frame("clEnqueueWriteBuffer", 1, queueHandle, bufferHandle, 1, 0, 16, wire.PlaceObject, 512<<20, 0, 0, 0)},
	{"a transfer that ends behind the arena", frame("clEnqueueReadBuffer", 1, queueHandle, bufferHandle, 1, 0, hugeNumber, wire.PlaceObject, 0, 0, 0, 0)},
	{"a transfer of nothing from a memory object", frame("clEnqueueReadBuffer", 1, queueHandle, bufferHandle, 1, 0, 0, wire.PlaceObject, 0, 0, 0, 0)},
	{"a transfer at an unknown place", frame("clEnqueueReadBuffer", 1, queueHandle, bufferHandle, 1, 0, 16, 7, 0, 0, 0, 0)},
	{"a rectangle whose size wraps", frame("clEnqueueReadBufferRect", 1, queueHandle, bufferHandle, 1, 3, 0, 0, 0, 3, uint64(1)<<33, uint64(1)<<33, 1, 0, 0, wire.PlaceStaging, 0, 0, 0, 0)},
	{"a rectangle without a region", frame("clEnqueueReadBufferRect", 1, queueHandle, bufferHandle, 1, 3, 0, 0, 0, hugeNumber, 0, 0, wire.PlaceStaging, 0, 0, 0, 0)},
	{"a rectangle without an origin", frame("clEnqueueWriteBufferRect", 1, queueHandle, bufferHandle, 1, hugeNumber, 3, 1, 1, 1, 0, 0, wire.PlaceStaging, 0, 0, 0, 0)},
	{"an image that is a buffer", frame("clEnqueueReadImage", 1, queueHandle, bufferHandle, 1, 3, 0, 0, 0, 3, 4, 4, 1, wire.PlaceStaging, 0, 0, 0, 0)},
	{"an unmap behind the buffer", frame("clEnqueueUnmapMemObject", 0, queueHandle, bufferHandle, 4096, 0, 0)},
	{"an unmap far behind the buffer", frame("clEnqueueUnmapMemObject", 0, queueHandle, bufferHandle, hugeNumber, 0, 0)},

	{"the device released", frame("release", 0, 2, wire.DeviceHandle)},
	{"the platform released", frame("release", 0, 1, wire.PlatformHandle)},
	{"a release of the wrong kind", frame("release", 0, 3, bufferHandle)},
	{"a release of nothing", frame("release", 0, 0, spareHandle)},
	{"a release out of range", frame("release", 0, 3, 0xffffffff)},
	{"a place given back that is none", frame("unreserve", 0, 12345)},
	{"a notice out of range", frame("notify", 0, eventHandle, 0, wire.NoticeCount)},

	{"bytes for a buffer", frame("clSetKernelArg", 1, kernelHandle, 0, 8, wire.ArgumentValue, 0, 0, text("pointers"))},
	{"a buffer for a value", frame("clSetKernelArg", 1, kernelHandle, 1, 4, wire.ArgumentBuffer, bufferHandle, 0, text(""))},
	{"a value for local memory", frame("clSetKernelArg", 1, kernelHandle, 2, 4, wire.ArgumentValue, 0, 0, text("abcd"))},
	{"an argument's form that is none", frame("clSetKernelArg", 1, kernelHandle, 1, 4, 77, 0, 0, text("abcd"))},
	{"an argument out of range", frame("clSetKernelArg", 1, kernelHandle, 3, 4, wire.ArgumentValue, 0, 0, text("abcd"))},
	{"half of a file's head", frame("clBuildProgram", 1, programHandle, 0, text(""), text(""), text("halfhalf"))},
	{"a file of no kind", frame("clBuildProgram", 1, programHandle, 0, text(""), text(""), entry(2, "/a", "", 0))},
	{"a file with a path longer than its bytes", frame("clBuildProgram", 1, programHandle, 0, text(""), text(""), entry(1, "/a", "", 1)[:17])},
	{"a file longer than its bytes", frame("clBuildProgram", 1, programHandle, 0, text(""), text(""), entry(1, "/a", "text", 1))},
	{"a file of all bytes", frame("clBuildProgram", 1, programHandle, 0, text(""), text(""), entry(1, "/a", "", hugeNumber))},
	{"a file at no place", frame("clBuildProgram", 1, programHandle, 0, text(""), text(""), entry(1, "", "text", 0))},
	{"a file in the worker's folder", frame("clBuildProgram", 1, programHandle, 0, text(""), text(""), entry(1, "a", "text", 0))},
	{"a file with a NUL in its path", frame("clBuildProgram", 1, programHandle, 0, text(""), text(""), entry(1, "/a\x00b", "text", 0))},
	{"an address for a value", frame("clSetKernelArgSVMPointer", 0, kernelHandle, 1, 0)},
	{"an address for an argument out of range", frame("clSetKernelArgSVMPointer", 0, kernelHandle, 0xffffffff, 0)},
	{"half an address", frame("clSetKernelExecInfo", 1, kernelHandle, text("halfhalfhalf"))},
	{"more sizes than addresses", frame("clEnqueueSVMMigrateMem", 0, queueHandle, text("12345678"), text("1234567812345678"), 0, 0, 0)},
	{"an argument far out of range", frame("clSetKernelArg", 1, kernelHandle, 0xffffffff, 4, wire.ArgumentValue, 0, 0, text("abcd"))},
}

// entry is a file of a build, whose text is said to be longer by more bytes.
func entry(kind uint32, path, content string, more uint64) text {
	b := binary.LittleEndian.AppendUint32(nil, kind)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(path)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(content))+more)
	return text(b) + text(path) + text(content)
}

func TestViolationsEndTheirSessionOnly(t *testing.T) {
	s := serve(t, 1<<28, "")
	neighbour := s.open(t)
	neighbour.furnish(t)
	for _, v := range violations {
		t.Run(strings.ReplaceAll(v.name, " ", "_"), func(t *testing.T) {
			c := s.open(t)
			c.furnish(t)
			c.push(v.frame)
			s.broken(t, c)
			neighbour.want(t, 0, "clFinish", queueHandle)
		})
	}
	neighbour.close()
	s.ends(t)
}

// broken demands that the session of c has ended for a breach of the protocol.
func (s *server) broken(t *testing.T, c *client) {
	t.Helper()
	c.ended(t)
	deadline := time.Now().Add(sessionTimeout)
	failures := s.failed()
	for len(failures) == 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
		failures = s.failed()
	}
	if len(failures) != 1 || !errors.Is(failures[0], dispatch.ErrProtocol) {
		t.Errorf("the session ended with %v, want one breach of the protocol", failures)
	}
}

// TestBrokenRing writes what is no frame at all.
func TestBrokenRing(t *testing.T) {
	header := func(size uint32, call uint16) []byte {
		b := make([]byte, wire.FrameHeader)
		binary.LittleEndian.PutUint32(b, size)
		binary.LittleEndian.PutUint16(b[4:], call)
		return b
	}
	rings := []struct {
		name  string
		write func(c *client)
	}{
		{"size 0", func(c *client) { c.push(header(0, 48)) }},
		{"size under a header", func(c *client) { c.push(header(4, 48)) }},
		{"size of no multiple", func(c *client) { c.push(append(header(12, 48), make([]byte, 8)...)) }},
		{"size behind the head", func(c *client) { c.push(header(64, 48)) }},
		{"size of everything", func(c *client) { c.push(header(0xfffffff8, 48)) }},
		{"size over the limit", func(c *client) { c.push(append(header(wire.FrameMax+8, 48), make([]byte, wire.FrameMax)...)) }},
		{"size over the ring's end", func(c *client) {
			c.fill(wire.RingSize - 64 - c.head)
			c.write(wire.RingSize-64, header(128, 48))
			c.advance(c.head + 128)
		}},
		{"filler over the ring's end", func(c *client) {
			c.fill(wire.RingSize - 64 - c.head)
			c.write(wire.RingSize-64, header(128, 0))
			c.advance(c.head + 128)
		}},
		{"filler behind the head", func(c *client) { c.push(header(wire.RingSize, 0)) }},
		{"head far ahead", func(c *client) { c.advance(1 << 40) }},
		{"head at the end of all", func(c *client) { c.advance(hugeNumber - 7) }},
		{"head between multiples", func(c *client) { c.advance(c.head + 3) }},
		{"head that goes back", func(c *client) {
			c.push(frame("clFlush", 0, queueHandle))
			for atomic.LoadUint64(c.word64(wire.WordTail)) != c.head {
				time.Sleep(time.Millisecond)
			}
			c.advance(c.head - 8)
		}},
	}
	s := serve(t, 1<<28, "")
	neighbour := s.open(t)
	neighbour.furnish(t)
	for _, r := range rings {
		t.Run(strings.ReplaceAll(r.name, " ", "_"), func(t *testing.T) {
			c := s.open(t)
			c.furnish(t)
			r.write(c)
			s.broken(t, c)
			neighbour.want(t, 0, "clFinish", queueHandle)
		})
	}
	neighbour.close()
	s.ends(t)
}

// TestRefusals asks for what is refused with a status; the session goes on.
func TestRefusals(t *testing.T) {
	const memory = 1 << 28
	s := serve(t, memory, "")
	c := s.open(t)
	c.furnish(t)
	const (
		allocationFailure = -4
		outOfResources    = -5
		failedWait        = -14
		invalidValue      = -30
		invalidMem        = -38
		invalidBufferSize = -61
	)
	c.want(t, allocationFailure, "credit", wire.DeviceHandle, memory+1)
	c.want(t, allocationFailure, "credit", wire.DeviceHandle, hugeNumber)
	c.want(t, allocationFailure, "credit", wire.DeviceHandle, uint64(1)<<63)
	c.want(t, outOfResources, "reserve", hugeNumber)
	c.want(t, outOfResources, "reserve", 1<<30)
	c.want(t, allocationFailure, "clCreateBuffer", contextHandle, spareHandle, 1, memory)
	c.want(t, allocationFailure, "clCreateBuffer", contextHandle, spareHandle, 1, hugeNumber)
	c.want(t, invalidBufferSize, "clCreateBuffer", contextHandle, spareHandle, 1, 0)
	c.want(t, invalidValue, "clCreateSubBuffer", bufferHandle, spareHandle, 0, hugeNumber-63, 128)
	c.want(t, invalidValue, "clCreateSubBuffer", bufferHandle, spareHandle, 0, 0, hugeNumber)
	c.want(t, invalidValue, "clEnqueueReadBuffer", queueHandle, bufferHandle, 1, hugeNumber-7, 16, wire.PlaceStaging, 0, 0, 0, 0)
	c.want(t, invalidValue, "clEnqueueReadBuffer", queueHandle, bufferHandle, 1, 4090, 16, wire.PlaceStaging, 0, 0, 0, 0)
	c.want(t, 0, "clCreateBuffer", contextHandle, spareHandle, 1, 64)
	c.push(frame("release", 0, 5, spareHandle))

	// A create that nobody waits for and its successors are refused in turn, and the handles are free again after a release.
	c.push(frame("clCreateBuffer", 0, contextHandle, spareHandle, 1, memory))
	c.want(t, invalidMem, "locate", spareHandle)
	c.want(t, invalidMem, "clCreateSubBuffer", spareHandle, spareHandle+1, 0, 0, 16)
	c.want(t, invalidMem, "clEnqueueReadBuffer", queueHandle, spareHandle, 1, 0, 16, wire.PlaceStaging, 0, 0, 0, spareHandle+1)
	c.push(frame("clEnqueueReadBuffer", 0, queueHandle, spareHandle, 0, 0, 16, wire.PlaceStaging, 0, 3, 0, 0))
	c.push(frame("release", 0, 5, spareHandle))
	c.want(t, 0, "clCreateBuffer", contextHandle, spareHandle, 1, 64)
	if state := atomic.LoadUint32(c.word32(wire.TicketOffset + 4*2)); state != wire.TicketFailed {
		t.Errorf("the ticket of a refused transfer is %d", state)
	}

	// Commands behind a failed event are refused, or fail by their events.
	c.want(t, 0, "clSetUserEventStatus", eventHandle, hugeNumber-4)
	c.want(t, failedWait, "clEnqueueReadBuffer", queueHandle, bufferHandle, 1, 0, 16, wire.PlaceStaging, 0, 0, 1, eventHandle, spareHandle+1)
	c.push(frame("clEnqueueMarkerWithWaitList", 0, queueHandle, 1, eventHandle, spareHandle+1))
	c.want(t, failedWait, "clWaitForEvents", 1, spareHandle+1)
	c.want(t, 0, "clFinish", queueHandle)
	c.close()
	s.ends(t)
}

// TestAddresses gives addresses to which a session has no right.
func TestAddresses(t *testing.T) {
	s := serve(t, 1<<28, "")
	c, neighbour := s.open(t), s.open(t)
	c.furnish(t)
	neighbour.furnish(t)
	const (
		invalidValue   = -30
		invalidHostPtr = -37
		size           = 4096
	)
	first := c.welcome.ArenaAddress + binary.LittleEndian.Uint64(c.want(t, 0, "clSVMAlloc", contextHandle, size))
	second := c.welcome.ArenaAddress + binary.LittleEndian.Uint64(c.want(t, 0, "clSVMAlloc", contextHandle, 8))
	others := neighbour.welcome.ArenaAddress + binary.LittleEndian.Uint64(neighbour.want(t, 0, "clSVMAlloc", contextHandle, size))
	packed := func(a uint64) text { return text(binary.LittleEndian.AppendUint64(nil, a)) }
	for _, a := range []uint64{1, hugeNumber, others, c.welcome.ArenaAddress - 1, c.welcome.ArenaAddress + c.welcome.ArenaBytes, second + 8, first - 1} {
		c.want(t, invalidValue, "clEnqueueSVMUnmap", queueHandle, a, 0, 0)
		c.want(t, invalidValue, "clEnqueueSVMMap", queueHandle, 1, 1, a, 1, 0, 0)
		c.want(t, invalidValue, "clEnqueueSVMMemcpy", queueHandle, 1, first, a, 1, 0, 0)
		c.want(t, invalidValue, "clEnqueueSVMMemFill", queueHandle, a, text("x"), 1, 0, 0)
		c.want(t, invalidValue, "clEnqueueSVMMigrateMem", queueHandle, packed(a), text(""), 0, 0, 0)
		c.want(t, invalidValue, "clSetKernelArgSVMPointer", kernelHandle, 0, a)
		c.want(t, invalidValue, "clSetKernelExecInfo", kernelHandle, packed(a))
		c.want(t, invalidValue, "overlay", contextHandle, spareHandle, 1, a, 1)
		c.want(t, invalidValue, "clSVMFree", a)
	}
	for _, n := range []uint64{size, hugeNumber} {
		c.want(t, invalidValue, "clEnqueueSVMMap", queueHandle, 1, 1, first+1, n, 0, 0)
		c.want(t, invalidValue, "clEnqueueSVMMemcpy", queueHandle, 1, first+1, second, n, 0, 0)
		c.want(t, invalidValue, "clEnqueueSVMMemFill", queueHandle, first+1, text("x"), n, 0, 0)
		c.want(t, invalidValue, "clEnqueueSVMMigrateMem", queueHandle, packed(first+1), packed(n), 0, 0, 0)
		c.want(t, invalidHostPtr, "overlay", contextHandle, spareHandle, 1, first+1, n)
	}
	c.want(t, invalidValue, "clSVMFree", first+1)
	c.want(t, invalidValue, "clSVMFree", 0)
	c.want(t, 0, "overlay", contextHandle, spareHandle, 1, first+1, size-1)
	c.push(frame("release", 0, 5, spareHandle))
	c.want(t, 0, "clSVMFree", first)
	c.want(t, invalidValue, "clSVMFree", first)
	c.want(t, invalidValue, "clSetKernelArgSVMPointer", kernelHandle, 0, first)
	c.want(t, 0, "clEnqueueSVMMemFill", queueHandle, second, text("x"), 8, 0, 0)
	c.want(t, 0, "clFinish", queueHandle)
	neighbour.want(t, 0, "clFinish", queueHandle)
	c.close()
	neighbour.close()
	s.ends(t)
}

// TestOddButAllowed does what a shim does not, to the end that nothing breaks.
func TestOddButAllowed(t *testing.T) {
	s := serve(t, 1<<28, "")
	c := s.open(t)
	c.furnish(t)
	// A ticket for a transfer that somebody waits for, and one that is none.
	for _, ticket := range []uint64{1, 5, wire.TicketCount, wire.TicketCount + 1, hugeNumber} {
		for range 3 {
			c.want(t, 0, "clEnqueueWriteBuffer", queueHandle, bufferHandle, 1, 0, 16, wire.PlaceStaging, 0, ticket, 0, 0)
			c.push(frame("clEnqueueWriteBuffer", 0, queueHandle, bufferHandle, 1, 0, 16, wire.PlaceStaging, 64, ticket, 0, 0))
		}
	}
	c.want(t, 0, "settle", 1)
	// A slot with garbage in it, and one that several frames share.
	copy(c.slotAt(1), "garbage of the shim's own making")
	c.want(t, 0, "clFinish", queueHandle)
	c.push(frame("clFinish", 2, queueHandle), frame("clFinish", 2, queueHandle), frame("clFlush", 2, queueHandle))
	// A place given back while the driver reads it.
	offset := binary.LittleEndian.Uint64(c.want(t, 0, "reserve", 1<<20))
	c.want(t, 0, "credit", wire.DeviceHandle, 4<<20)
	c.want(t, 0, "clCreateBuffer", contextHandle, spareHandle, 1, 1<<20)
	c.push(frame("clEnqueueWriteBuffer", 0, queueHandle, spareHandle, 0, 0, 1<<20, wire.PlaceArena, offset, 9, 0, 0), frame("unreserve", 0, offset))
	// A queue and a program released while a thread of the worker waits for them.
	c.push(frame("clEnqueueMarkerWithWaitList", 0, queueHandle, 1, eventHandle, 0), frame("clFinish", 3, queueHandle), frame("release", 0, 4, queueHandle))
	c.want(t, 0, "clCreateCommandQueueWithProperties", contextHandle, wire.DeviceHandle, queueHandle, 0)
	c.want(t, 0, "clSetUserEventStatus", eventHandle, 0)
	c.push(frame("clBuildProgram", 4, programHandle, 0, text("-DX"), text(""), text("")), frame("release", 0, 7, programHandle))
	c.want(t, 0, "clFinish", queueHandle)
	// A user event is released before it has a status, while a command waits for it.
	c.want(t, 0, "clCreateUserEvent", contextHandle, spareHandle+1)
	c.push(frame("clEnqueueMarkerWithWaitList", 0, queueHandle, 1, spareHandle+1, 0), frame("release", 0, 9, spareHandle+1))
	c.push(frame("clFinish", 5, queueHandle))
	c.want(t, 0, "locate", bufferHandle)
	c.close()
	s.ends(t)
}

// TestRingChangesUnderTheReader changes frames while the worker reads them. What
// it then does is the session's own affair; the neighbour and the process go on.
func TestRingChangesUnderTheReader(t *testing.T) {
	s := serve(t, 1<<28, "")
	neighbour := s.open(t)
	neighbour.furnish(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for range 12 {
		c := s.open(t)
		c.furnish(t)
		stop := make(chan struct{})
		changed := make(chan struct{})
		go func(at, bits uint64) {
			defer close(changed)
			for i := uint64(0); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				word := c.word64(wire.RingOffset + int((at+i*16)%(wire.RingSize/8))*8)
				atomic.StoreUint64(word, atomic.LoadUint64(word)^bits<<(i%40))
			}
		}(random.Uint64(), 1+random.Uint64N(6))
		for i := 0; i < 2000 && !c.gone(); i++ {
			c.push(frame("clEnqueueCopyBuffer", 0, queueHandle, bufferHandle, bufferHandle, 0, 1024, 16, 0, 0), frame("locate", 1, bufferHandle))
		}
		close(stop)
		<-changed
		c.close()
		neighbour.want(t, 0, "clFinish", queueHandle)
	}
	neighbour.close()
	s.ends(t)
	for _, err := range s.failed() {
		if !errors.Is(err, dispatch.ErrProtocol) {
			t.Errorf("session: %v", err)
		}
	}
}

// TestSealedMemory tries what would make the worker fault.
func TestSealedMemory(t *testing.T) {
	s := serve(t, 1<<28, "")
	c := s.open(t)
	for i, fd := range c.fds {
		for _, size := range []int64{0, 4096, 1 << 40} {
			if err := unix.Ftruncate(fd, size); !errors.Is(err, unix.EPERM) {
				t.Errorf("memory %d can be sized to %d: %v", i, size, err)
			}
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE); !errors.Is(err, unix.EPERM) {
			t.Errorf("memory %d takes another seal: %v", i, err)
		}
		// A hole is no fault: the worker finds zeroes.
		if err := unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 1<<20); err != nil {
			t.Errorf("memory %d: %v", i, err)
		}
	}
	c.close()
	s.ends(t)
	_ = s.failed() // the hole took the ring's words
}

// TestGreetingCutShort leaves before, in and right after the greeting.
func TestGreetingCutShort(t *testing.T) {
	s := serve(t, 1<<28, "")
	for range 8 {
		c := s.open(t)
		c.close()
	}
	c := s.open(t)
	// The connection carries nothing after the greeting: a byte ends the session.
	if _, err := c.conn.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	c.ended(t)
	s.ends(t)
}

// TestSessionsLeaveNothing counts what the process has open and mapped around a lease.
func TestSessionsLeaveNothing(t *testing.T) {
	sessions := func(t *testing.T) {
		s := serve(t, 1<<28, "")
		for range 5 {
			for _, frames := range [][][]byte{nil, {violations[0].frame}} {
				c := s.open(t)
				c.furnish(t)
				c.push(frames...)
				if len(frames) > 0 {
					c.ended(t)
				}
				c.close()
				s.ends(t)
			}
		}
		_ = s.failed()
	}
	t.Run("first", sessions) // the driver opens what it keeps
	fds, maps := open(t), mapped(t)
	t.Run("again", sessions)
	if open(t) > fds || mapped(t) > maps {
		t.Fatalf("%d descriptors and %d mappings, before %d and %d", open(t), mapped(t), fds, maps)
	}
}

// open counts the process's descriptors.
func open(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// mapped counts the sessions' mappings in the process.
func mapped(t *testing.T) int {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(maps), "memfd:sluice-segment") + strings.Count(string(maps), "memfd:sluice-arena")
}
