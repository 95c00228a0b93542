package dispatch_test

import (
	"errors"
	"testing"

	"sluice/broker/dispatch"
	"sluice/vdev/spec"
	"sluice/vdev/wire"
)

// notFuzzed are the calls whose valid but senseless arguments keep the driver's
// compiler or device busy for long, or crash it: that hurts the Lease that asks
// for it, and says nothing of the dispatcher.
var notFuzzed = map[string]bool{
	"clCreateProgramWithSource": true, "clCreateProgramWithBinary": true, "clCreateProgramWithIL": true,
	"clBuildProgram": true, "clCompileProgram": true, "clLinkProgram": true,
	"clEnqueueNDRangeKernel": true, "clEnqueueTask": true,
}

// numbers are worth trying in any argument's place.
var numbers = []uint64{
	0, 1, 2, 3, 4, 7, 8, 16, 64, 4095, 4096, 4097, 1 << 16, 1 << 20, 1 << 31, 1 << 32, 1 << 63, ^uint64(0), ^uint64(0) - 7,
	wire.DeviceHandle, contextHandle, queueHandle, bufferHandle, programHandle, kernelHandle, eventHandle, spareHandle, spareHandle + 1,
	wire.InlineMax, wire.InlineMax + 1, wire.ListMax, wire.BytesMax, wire.HandleMax - 1, wire.StagingSize - 8,
}

// FuzzFrame sends frames to a Session with a real driver. Nothing may crash, the
// session must end when its client goes, and leave nothing behind.
//
// The input is a list of frames: a byte that picks a call, a byte with the slot,
// and bytes that pick numbers, up to a byte of 255.
func FuzzFrame(f *testing.F) {
	var calls []spec.Call
	for _, c := range spec.OpenCL.All() {
		if c.Form >= spec.Generated && !notFuzzed[c.Name] && len(c.Wire) > 0 {
			calls = append(calls, c)
		}
	}
	for i, c := range calls {
		f.Add(fuzzSeed(byte(i), c))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		s := serve(t, 1<<28, "")
		c := s.open(t)
		c.furnish(t)
		for len(input) >= 2 && !c.gone() {
			call, slot := calls[int(input[0])%len(calls)], int(input[1])%8
			input = input[2:]
			var arguments []any
			for len(input) > 0 && input[0] != 255 {
				arguments = append(arguments, numbers[int(input[0])%len(numbers)])
				input = input[1:]
			}
			input = input[min(1, len(input)):]
			if b := numbered(call.Number, slot, arguments...); len(b) <= wire.FrameMax {
				c.push(b)
			}
		}
		c.close()
		s.ends(t)
		for _, err := range s.failed() {
			if !errors.Is(err, dispatch.ErrProtocol) {
				t.Error(err)
			}
		}
	})
}

// fuzzSeed is a frame with an argument of each kind that the call takes.
func fuzzSeed(call byte, c spec.Call) []byte {
	handles := map[spec.Object]uint64{
		spec.Device: wire.DeviceHandle, spec.Context: contextHandle, spec.Queue: queueHandle, spec.Mem: bufferHandle,
		spec.Program: programHandle, spec.Kernel: kernelHandle, spec.Event: eventHandle,
	}
	b := []byte{call, 1}
	for _, f := range c.Wire {
		switch f.Kind {
		case spec.Handle:
			b = append(b, pick(handles[f.Object]))
		case spec.New:
			b = append(b, pick(spareHandle))
		case spec.Sizes:
			b = append(b, pick(wire.ListAbsent))
		case spec.Scalar:
			b = append(b, pick(1))
		default:
			b = append(b, pick(0))
		}
	}
	return append(b, 255)
}

// pick is the place of a number in numbers.
func pick(number uint64) byte {
	for i, n := range numbers {
		if n == number {
			return byte(i)
		}
	}
	panic("not among the numbers")
}
