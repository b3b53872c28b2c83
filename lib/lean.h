/*
 * lean: for a process that is one of many and mostly sleeps; the first thing in its main.
 * What is freed goes back to the system, and the kernel has nothing to write into it each time that
 * it wakes (restartable sequences, which only a program that asks for its processor needs).
 */
#ifndef LV_LEAN_H
#define LV_LEAN_H

void lean(void);

#endif
