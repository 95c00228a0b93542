package image

import (
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// entry is one file of the image.
type entry struct {
	name       string // in the image, without the leading slash
	mode       fs.FileMode
	size       int64
	open       func() (*os.File, error)
	content    []byte // instead of open
	executable *program
}

// program is what matters of an ELF file for putting it and its libraries into an image.
type program struct {
	class       elf.Class
	machine     elf.Machine
	interpreter string
	needed      []string
	searchPath  []string // DT_RUNPATH, or DT_RPATH where there is none
	startable   bool     // a program rather than a library
}

// collect walks the folder and returns the entries below /app. What a link leads to outside the folder is refused (os.Root).
func collect(root *os.Root, m manifest) ([]entry, error) {
	var entries []entry
	var size int64
	err := fs.WalkDir(root.FS(), ".", func(name string, item fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if item.IsDir() {
			if len(m.Include) == 0 && name != "." && hidden(name) {
				return fs.SkipDir
			}
			return nil
		}
		if !m.includes(name) {
			return nil
		}
		found, err := folderEntry(root, name)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrInvalid, name, err)
		}
		size += found.size
		entries = append(entries, found)
		if len(entries) > FilesMax || size > BytesMax {
			return fmt.Errorf("%w: folder has more than %d files or %d bytes", ErrInvalid, FilesMax, int64(BytesMax))
		}
		return nil
	})
	return entries, err
}

func folderEntry(root *os.Root, name string) (entry, error) {
	file, info, err := openRegular(root, name)
	if err != nil {
		return entry{}, err
	}
	defer file.Close()
	read, err := readProgram(file)
	if err != nil {
		return entry{}, err
	}
	return entry{
		name: strings.TrimPrefix(path.Join(Folder, name), "/"), mode: normalMode(info.Mode()), size: info.Size(), executable: read,
		open: func() (*os.File, error) {
			opened, _, err := openRegular(root, name)
			return opened, err
		},
	}, nil
}

// openRegular opens without waiting for a pipe's other end, and refuses all but regular files.
func openRegular(root *os.Root, name string) (*os.File, fs.FileInfo, error) {
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("is no regular file (%s)", info.Mode().Type())
	}
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

// normalMode keeps no more of a mode than whether the file is executable, so that a umask changes no image.
func normalMode(mode fs.FileMode) fs.FileMode {
	if mode&0o111 != 0 {
		return 0o755
	}
	return 0o644
}
