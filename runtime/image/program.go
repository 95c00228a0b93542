package image

import (
	"debug/elf"
	"fmt"
	"io"
	"strings"
)

const interpreterBytesMax = 4096

// architectures names machines as an image's configuration does (GOARCH).
var architectures = map[elf.Machine]string{
	elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64", elf.EM_RISCV: "riscv64", elf.EM_PPC64: "ppc64le", elf.EM_S390: "s390x",
}

// readProgram returns nil for what is no ELF program or library.
func readProgram(file io.ReaderAt) (*program, error) {
	magic := make([]byte, len(elf.ELFMAG))
	if _, err := file.ReadAt(magic, 0); err == io.EOF || string(magic) != elf.ELFMAG {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	parsed, err := elf.NewFile(file)
	if err != nil {
		return nil, fmt.Errorf("parse ELF: %w", err)
	}
	if parsed.Type != elf.ET_EXEC && parsed.Type != elf.ET_DYN {
		return nil, nil
	}
	read := &program{class: parsed.Class, machine: parsed.Machine, startable: parsed.Type == elf.ET_EXEC}
	for _, segment := range parsed.Progs {
		if segment.Type != elf.PT_INTERP {
			continue
		}
		content, err := io.ReadAll(io.LimitReader(segment.Open(), interpreterBytesMax))
		if err != nil {
			return nil, fmt.Errorf("read ELF interpreter: %w", err)
		}
		read.interpreter = strings.TrimRight(string(content), "\x00")
		read.startable = true
	}
	flags, err := parsed.DynValue(elf.DT_FLAGS_1)
	if err == nil && len(flags) > 0 && elf.DynFlag1(flags[0])&elf.DF_1_PIE != 0 {
		read.startable = true // static-pie
	}
	if read.needed, err = parsed.ImportedLibraries(); err != nil {
		return nil, fmt.Errorf("read ELF libraries: %w", err)
	}
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		paths, err := parsed.DynString(tag)
		if err != nil {
			return nil, fmt.Errorf("read ELF search path: %w", err)
		}
		if len(paths) > 0 {
			read.searchPath = strings.Split(paths[0], ":")
			break
		}
	}
	return read, nil
}
