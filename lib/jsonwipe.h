/*
 * jsonwipe: what jansson gives back is wiped first, for those who are told secrets in JSON.
 */
#ifndef LV_JSONWIPE_H
#define LV_JSONWIPE_H

void json_wipe(void); /* once, before any other call of jansson's */

#endif
