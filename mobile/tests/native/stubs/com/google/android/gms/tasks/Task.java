package com.google.android.gms.tasks;

public abstract class Task<T> {

    public abstract Task<T> addOnCompleteListener(OnCompleteListener<T> listener);

    public abstract boolean isSuccessful();

    public abstract T getResult();
}
