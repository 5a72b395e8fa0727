; A machine in one boot sector, for tests of replication: it writes numbered records to its disk, each flushed before the head
; of the disk names it, and says on the serial port what it does. An image of it that was torn off at any moment holds a head with
; number n and every record up to n that the ring still has; record n+1 may be there too.
;
;   sector 0        this code, and its settings at 0x1ea
;   sector 1        head:   'FSHD', u32 number, u32 how often it was started, text of fw_cfg file opt/farshore/address
;   from `first`    record: 'FSRC', u32 number, u32 start, and the number again to the end of the sector
;
; Build: nasm -f bin -o guest.bin guest.asm. What BIOS writes is not flushed, so the flush is told to the primary master of the IDE.
bits 16
org 0x7c00
HEAD equ 0x7e00
RECORD equ 0x8000

        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7c00
        sti
        cld
        mov [drive], dl
        mov eax, 1
        mov bx, HEAD
        call disk
        cmp dword [HEAD], 'FSHD'
        je known
        mov di, HEAD            ; a disk that was never written to
        mov cx, 256
        xor ax, ax
        rep stosw
        mov dword [HEAD], 'FSHD'
known:  inc dword [HEAD+8]
        call address
        mov si, booted
        mov eax, [HEAD+8]
        call say
        mov si, HEAD+12
        call text
        mov si, line
        call text
again:  mov ecx, [burst]
next:   push ecx
        inc dword [HEAD+4]
        mov eax, [HEAD+4]
        mov di, RECORD
        mov cx, 128
        rep stosd
        mov dword [RECORD], 'FSRC'
        mov ecx, [HEAD+8]
        mov [RECORD+8], ecx
        xor edx, edx
        div dword [ring]
        mov eax, edx
        mul dword [stride]
        add eax, [first]
        mov bx, RECORD
        call write
        mov eax, 1
        mov bx, HEAD
        call write
        pop ecx
        dec ecx
        jnz next
        mov si, wrote
        mov eax, [HEAD+4]
        call say
        mov si, line
        call text
        mov ecx, [ticks]
pace:   jecxz again
        hlt                     ; each timer interrupt ends it, others too: the pace is not exact
        dec ecx
        jmp pace

; sector EAX from ES:BX, and flushed
write:  mov byte [function], 0x43
        call disk
        mov dx, 0x1f6           ; FLUSH CACHE, and wait until the disk is no longer busy
        mov al, 0xe0
        out dx, al
        inc dx
        mov al, 0xe7
        out dx, al
.busy:  in al, dx
        test al, 0x80
        jnz .busy
        ret

disk:   mov [packet+4], bx
        mov [packet+8], eax
        mov si, packet
        mov dl, [drive]
        mov ah, [function]
        mov al, 0
        int 0x13
        jnc done
        mov si, failed
        call text
dead:   hlt
        jmp dead

say:    push eax                ; the text at SI, and EAX in hexadecimal
        call text
        pop eax
        mov cx, 8
.digit: rol eax, 4
        push ax
        and al, 15
        cmp al, 10
        sbb al, 0x69
        das
        call put
        pop ax
        loop .digit
done:   ret
text:   lodsb
        or al, al
        jz done
        call put
        jmp text
put:    push ax
        mov dx, 0x3fd
.full:  in al, dx
        test al, 0x20
        jz .full
        pop ax
        mov dx, 0x3f8
        out dx, al
        ret

; The file of fw_cfg to HEAD+12, at most 47 bytes; an empty text where there is none.
address:
        mov di, HEAD+12
        mov byte [di], 0
        mov dx, 0x510
        mov ax, 0x19            ; the directory: u32 count, then u32 size, u16 key, u16, 56 bytes of name, big endian
        out dx, ax
        inc dx
        call big32
        xchg ecx, eax
.entry: jecxz done
        dec cx
        call big32
        xchg ebp, eax
        call big32
        shr eax, 16
        push ax
        push di
        mov si, name
        mov bx, 56
        mov ah, 1               ; still alike
.char:  in al, dx
        cmp al, [si]
        je .same
        mov ah, 0
.same:  cmp byte [si], 0
        je .ended
        inc si
.ended: dec bx
        jnz .char
        pop di
        pop bx
        or ah, ah
        jz .entry
        mov dx, 0x510
        xchg ax, bx
        out dx, ax
        inc dx
        cmp bp, 47
        jbe .copy
        mov bp, 47
.copy:  in al, dx
        stosb
        dec bp
        jnz .copy
        mov byte [di], 0
        ret
big32:  mov bl, 4
.byte:  shl eax, 8
        in al, dx
        dec bl
        jnz .byte
        ret

name:   db 'opt/farshore/address', 0
booted: db 13, 10, 'START ', 0
wrote:  db 'RECORD ', 0
failed: db 'DISK', 0
line:   db 13, 10, 0
function: db 0x42
drive:  db 0
packet: db 16, 0
        dw 1, 0, 0
        dd 0, 0

        times 0x1ea-($-$$) db 0
ring:   dd 64                   ; records that the disk holds before the oldest is written over
stride: dd 1                    ; sectors from one record to the next
first:  dd 64                   ; sector of the first record
ticks:  dd 1                    ; timer interrupts from one burst to the next
burst:  dd 1                    ; records written together
        times 510-($-$$) db 0
        dw 0xaa55
