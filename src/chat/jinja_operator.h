/* The binary and comparison operators of expressions. */
#ifndef RF_CHAT_JINJA_OPERATOR_H
#define RF_CHAT_JINJA_OPERATOR_H

typedef enum rf_jbinary {
    RF_JB_ADD,
    RF_JB_SUB,
    RF_JB_MUL,
    RF_JB_DIV,
    RF_JB_FLOORDIV,
    RF_JB_MOD,
    RF_JB_POW,
    RF_JB_CONCAT,
} rf_jbinary;

typedef enum rf_jcompare {
    RF_JC_EQ,
    RF_JC_NE,
    RF_JC_LT,
    RF_JC_LE,
    RF_JC_GT,
    RF_JC_GE,
    RF_JC_IN,
    RF_JC_NOT_IN,
} rf_jcompare;

#endif
