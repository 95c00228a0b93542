package image

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"testing"
)

// tinyProgram is the least that is an ELF program with a loader.
func tinyProgram(interpreter string) []byte {
	const headerSize, segmentSize = 64, 56
	var b bytes.Buffer
	header := elf.Header64{
		Type: uint16(elf.ET_DYN), Machine: uint16(elf.EM_X86_64), Version: 1,
		Phoff: headerSize, Ehsize: headerSize, Phentsize: segmentSize, Phnum: 1, Shentsize: 64,
	}
	copy(header.Ident[:], elf.ELFMAG+"\x02\x01\x01")
	segment := elf.Prog64{Type: uint32(elf.PT_INTERP), Off: headerSize + segmentSize, Filesz: uint64(len(interpreter) + 1)}
	for _, part := range []any{header, segment, []byte(interpreter + "\x00")} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

func TestReadProgram(t *testing.T) {
	read, err := readProgram(bytes.NewReader(tinyProgram("/lib/ld.so")))
	if err != nil || read == nil || read.interpreter != "/lib/ld.so" || !read.startable || read.machine != elf.EM_X86_64 {
		t.Errorf("read %+v, %v", read, err)
	}
	file, err := os.Open("/usr/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if read, err = readProgram(file); err != nil || read == nil || len(read.needed) == 0 || !read.startable {
		t.Errorf("read %+v, %v", read, err)
	}
}

// FuzzReadProgram: a folder's files are hostile. Whatever is accepted is consistent enough to look up libraries with.
func FuzzReadProgram(f *testing.F) {
	f.Add(tinyProgram("/lib64/ld-linux-x86-64.so.2"))
	f.Add([]byte("\x7fELF"))
	f.Fuzz(func(t *testing.T, content []byte) {
		read, err := readProgram(bytes.NewReader(content))
		if err != nil || read == nil {
			return
		}
		if len(read.interpreter) > interpreterBytesMax || read.interpreter != "" && !read.startable {
			t.Errorf("interpreter of %d bytes, startable %t", len(read.interpreter), read.startable)
		}
		if !bytes.HasPrefix(content, []byte("\x7fELF")) {
			t.Error("accepted without the magic")
		}
	})
}
