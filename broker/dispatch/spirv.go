package dispatch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"sluice/vdev/wire"
)

// Of SPIR-V what tells the forms of a kernel's arguments (specification 1.6, sections 2.3 and 3).
const (
	spirvMagic       = 0x07230203
	spirvHeaderWords = 5

	opEntryPoint        = 15
	opTypeImage         = 25
	opTypeSampler       = 26
	opTypePointer       = 32
	opFunction          = 54
	opFunctionParameter = 55
	opFunctionEnd       = 56

	executionModelKernel = 6

	storageUniformConstant = 0
	storageWorkgroup       = 4
	storageCrossWorkgroup  = 5
)

// errSPIRV is of a module that breaks the format.
var errSPIRV = errors.New("malformed SPIR-V")

// spirv is what has been read of a module.
type spirv struct {
	entries   map[uint32][]string // the names of an entry point's function
	types     map[uint32]uint32   // wire.Argument forms of those that are no values
	arguments map[string][]uint32
	function  []string // the names of the function that is being read
}

// spirvArguments reads the wire.Argument forms of the arguments of each kernel in a module of SPIR-V, since a driver need not
// know what the arguments of such a kernel are. The module is a program's: nothing of it is trusted.
func spirvArguments(module []byte) (map[string][]uint32, error) {
	if len(module)%4 != 0 || len(module) < 4*spirvHeaderWords || binary.LittleEndian.Uint32(module) != spirvMagic {
		return nil, fmt.Errorf("%w: no header in %d bytes", errSPIRV, len(module))
	}
	m := spirv{entries: map[uint32][]string{}, types: map[uint32]uint32{}, arguments: map[string][]uint32{}}
	for at := 4 * spirvHeaderWords; at < len(module); {
		head := binary.LittleEndian.Uint32(module[at:])
		length := 4 * int(head>>16)
		if length == 0 || length > len(module)-at {
			return nil, fmt.Errorf("%w: an instruction of %d bytes at %d of %d", errSPIRV, length, at, len(module))
		}
		m.read(head&0xffff, module[at+4:at+length])
		at += length
	}
	return m.arguments, nil
}

// read takes in one instruction. One that is too short says nothing: the driver refuses the module.
func (m *spirv) read(operation uint32, operands []byte) {
	word := func(i int) uint32 {
		if len(operands) < 4*(i+1) {
			return 0
		}
		return binary.LittleEndian.Uint32(operands[4*i:])
	}
	switch operation {
	case opEntryPoint:
		if name, _, ended := bytes.Cut(operands[min(8, len(operands)):], []byte{0}); ended && word(0) == executionModelKernel {
			m.entries[word(1)] = append(m.entries[word(1)], string(name))
		}
	case opTypeImage:
		m.types[word(0)] = wire.ArgumentBuffer
	case opTypeSampler:
		m.types[word(0)] = wire.ArgumentSampler
	case opTypePointer:
		switch word(1) {
		case storageUniformConstant, storageCrossWorkgroup:
			m.types[word(0)] = wire.ArgumentBuffer
		case storageWorkgroup:
			m.types[word(0)] = wire.ArgumentLocal
		}
	case opFunction:
		m.function = m.entries[word(1)]
		for _, name := range m.function {
			m.arguments[name] = []uint32{}
		}
	case opFunctionParameter:
		for _, name := range m.function {
			if len(m.arguments[name]) < argumentsMax {
				m.arguments[name] = append(m.arguments[name], m.types[word(0)])
			}
		}
	case opFunctionEnd:
		m.function = nil
	}
}
