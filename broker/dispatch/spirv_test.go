package dispatch

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"testing"

	"sluice/vdev/wire"
)

// instruction assembles one of SPIR-V.
func instruction(operation uint32, operands ...uint32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(operands)+1)<<16|operation)
	for _, word := range operands {
		b = binary.LittleEndian.AppendUint32(b, word)
	}
	return b
}

// spirvName is a name of up to seven bytes as two words.
func spirvName(name string) (low, high uint32) {
	var b [8]byte
	copy(b[:7], name)
	return binary.LittleEndian.Uint32(b[:]), binary.LittleEndian.Uint32(b[4:])
}

// spirvModule has the kernel `mix` with an argument of each form, `none` without any, and a function that is no kernel.
func spirvModule() []byte {
	mixLow, mixHigh := spirvName("mix")
	noneLow, noneHigh := spirvName("none")
	return slices.Concat(
		[]byte{3, 2, 0x23, 7, 0, 0, 1, 0, 0, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0},
		instruction(opEntryPoint, executionModelKernel, 20, mixLow, mixHigh),
		instruction(opEntryPoint, executionModelKernel, 21, noneLow, noneHigh),
		instruction(21, 1, 32, 0), // OpTypeInt
		instruction(opTypePointer, 2, storageCrossWorkgroup, 1),
		instruction(opTypePointer, 3, storageUniformConstant, 1),
		instruction(opTypePointer, 4, storageWorkgroup, 1),
		instruction(opTypePointer, 5, 7, 1), // a structure that is passed by value
		instruction(opTypeImage, 6, 1, 1, 0, 0, 0, 0, 0),
		instruction(opTypeSampler, 7),
		instruction(opFunction, 1, 22, 0, 1),
		instruction(opFunctionParameter, 2, 40),
		instruction(opFunctionEnd),
		instruction(opFunction, 1, 20, 0, 1),
		instruction(opFunctionParameter, 2, 30),
		instruction(opFunctionParameter, 1, 31),
		instruction(opFunctionParameter, 4, 32),
		instruction(opFunctionParameter, 3, 33),
		instruction(opFunctionParameter, 5, 34),
		instruction(opFunctionParameter, 6, 35),
		instruction(opFunctionParameter, 7, 36),
		instruction(opFunctionEnd),
		instruction(opFunction, 1, 21, 0, 1),
		instruction(opFunctionEnd),
	)
}

func TestFormsOfSPIRVArguments(t *testing.T) {
	got, err := spirvArguments(spirvModule())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]uint32{
		"mix": {
			wire.ArgumentBuffer, wire.ArgumentValue, wire.ArgumentLocal, wire.ArgumentBuffer, wire.ArgumentValue,
			wire.ArgumentBuffer, wire.ArgumentSampler,
		},
		"none": {},
	}
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("arguments %v, want %v", got, want)
	}
}

func TestMalformedSPIRV(t *testing.T) {
	whole := spirvModule()
	for name, module := range map[string][]byte{
		"nothing":            nil,
		"text":               []byte("kernel void f(global int *a) { *a = 1; }"),
		"cut":                whole[:len(whole)-6],
		"beyond the end":     append(slices.Clone(whole), instruction(uint32(opEntryPoint)|9<<16, 1)...),
		"without any length": append(slices.Clone(whole), 0, 0, 0, 0),
	} {
		if _, err := spirvArguments(module); !errors.Is(err, errSPIRV) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever a program gives for a module, reading it ends, and gives no more than the module can hold.
func FuzzSPIRVArguments(f *testing.F) {
	f.Add(spirvModule())
	f.Fuzz(func(t *testing.T, module []byte) {
		kernels, err := spirvArguments(module)
		if err != nil && kernels != nil {
			t.Errorf("an error and kernels: %v", err)
		}
		for name, forms := range kernels {
			if len(name) > len(module) || len(forms) > argumentsMax {
				t.Errorf("%d arguments of a kernel with a name of %d bytes", len(forms), len(name))
			}
		}
	})
}
